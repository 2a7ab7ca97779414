//! The ABI: what the BPF programs write and the loader reads, and nothing else.
//!
//! Both sides of the kernel boundary use these types, so they are `no_std`. What crosses it has no padding, no Rust enum and
//! no bool, and its size is pinned beside it. The programs themselves are this package's binary, which only the BPF build
//! compiles.
#![no_std]
#![expect(non_ascii_idents, reason = "zerocopy derives names that are not ASCII")]

pub mod abi;

pub use abi::*;
