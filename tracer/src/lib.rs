//! tlscope above the kernel.

pub mod correlate;
pub mod redact;
pub mod filter;
pub mod output;
