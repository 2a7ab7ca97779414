//! Probes in, records out: the only room that makes BPF calls.
//!
//! In: the kernel's offsets, and for each target its plans. Out: [`Attached`], which hands out the rings and counts
//! what was lost. Built first and enabled last: until [`Loader::enable`] fills the table of processes, no probe
//! reports anything. Everything detaches when it is dropped, and with the process if that is killed.

mod kernel;
mod value;
mod error;
mod offsets;
mod program;
mod loader;
mod attached;

use std::path::PathBuf;

pub use attached::Attached;
pub use error::Error;
pub use kernel::{KernelVersion, Reason, check, check_target};
pub use loader::Loader;

/// The BPF object, built from `tracer-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tlscope.bpf.o"));

/// The BPF object's bytes, for those who want to look into them.
pub fn object() -> &'static [u8] {
    OBJECT
}

/// How much is captured, and how much room it has.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes captured per call.
    pub call_bytes: u64,
    /// Bytes of each CPU's ring; a power of two, and at least a page.
    pub ring_bytes: u32,
}

/// A probed function of a file; records name it by its index.
#[derive(Clone, Debug)]
pub struct SiteInfo {
    /// The file, as the process sees it.
    pub path: PathBuf,
    /// The function.
    pub function: String,
    /// The TLS library, in one word.
    pub library: &'static str,
}
