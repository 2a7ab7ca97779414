//! The ABI between the BPF programs and the loader.
#![no_std]
