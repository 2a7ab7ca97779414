//! Replays tapes: the same records give the same output, byte for byte. No test needs root.

#![cfg(test)]

mod tapes;
mod expected;
mod stat;
mod flags;
mod policy;
mod secrets;
mod tape_builder;
mod unfinished;
mod encrypted;
mod connections;
mod hops;
mod audit;
mod metrics;
mod files;
mod syslog;
