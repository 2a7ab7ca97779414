//! Tests of `tlscope` on the real kernel, with real gateways and clients.
//!
//! They need root, and are ignored by default. They share the kernel, so they run one at a time:
//! `cargo test -p e2e --test live -- --ignored --test-threads=1`.
//!
//! `TLSCOPE_BIN` must name a release build: an unoptimised one is too slow for large bodies and loses records.

#![cfg(test)]

mod agent;
mod capabilities;
mod claims;
mod nginx;
mod bodies;
mod skips;
mod clients;
mod openssl;
mod stripped;
mod lighttpd;
mod gnutls;
mod named;
mod mbedtls;
mod wolfssl;
mod nss;
mod both;
mod passed;
mod plain;
mod hooks;
mod fibres;
mod exact;
mod secrets;
mod loss;
mod footprint;
mod cpus;
mod hostile;
mod endings;
mod stalled;
mod prompt;
mod refusals;
mod refused;
mod unusual;
mod inspect;
mod doctor;
mod policy;
mod stat;
mod metrics;
mod files;
mod journal;
mod audit;
mod audit_refused;
mod top;
mod addresses;
mod connections;
mod hops;
mod hops_shapes;
mod questions;
mod h2;
mod following;
