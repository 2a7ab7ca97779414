//! The real `tlscope` on the real kernel, against real gateways and clients.
//!
//! Every test needs root and is ignored without being asked for; they share the kernel, so they run one at a time:
//! `cargo test -p e2e --test live -- --ignored --test-threads=1`.
//!
//! `TLSCOPE_BIN` must name a release build: an unoptimised one cannot keep up with large bodies, and loses records.

#![cfg(test)]

mod claims;
mod nginx;
mod bodies;
mod clients;
mod openssl;
mod gnutls;
mod both;
mod passed;
mod secrets;
mod loss;
mod footprint;
mod cpus;
mod hostile;
mod endings;
mod stalled;
mod refusals;
mod refused;
mod unusual;
mod inspect;
mod addresses;
mod connections;
mod h2;
mod following;
