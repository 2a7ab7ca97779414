//! tlscope above the kernel.

pub mod correlate;
