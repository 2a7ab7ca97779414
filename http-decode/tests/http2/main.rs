//! Decoding of HTTP/2 connections, from frames in to outputs.
#![cfg(test)]

mod detection;
mod format;
mod late;
mod limits;
mod loss;
mod malformed;
mod streams;
mod tape;
mod wire;
