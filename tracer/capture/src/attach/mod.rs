//! Probes in, records out: the only room that makes BPF calls.
//!
//! In: the kernel's offsets, what is to be traced, and for each file its plan. Out: [`Probes`], which places and removes
//! them while the tracing goes on, and [`Rings`]. Built first and enabled last: until the [`Switch`] is on no
//! probe reports anything. Everything detaches when it is dropped, and with the process if that is killed.

mod btf;
mod heap;
mod kernel;
mod value;
mod error;
mod needs;
mod placement;
mod probed;
mod program;
mod operands;
mod ring;
mod rings;
mod cpus;
mod tables;
mod batch;
mod sweep;
mod hooks;
mod mappings;
mod sockets;
mod probes;

use std::path::PathBuf;

use aya::{Ebpf, programs::Program as Loaded};
use tracer_ebpf::SettingFlags;

pub use cpus::{Arrival, Arrivals, Cpus};
pub use error::Error;
pub use heap::give_back;
pub use hooks::Changes;
pub use kernel::{Kernel, KernelVersion, Reason, Undescribed, check, check_kernel, check_target, late_start, reach};
pub use mappings::{Mappings, Watched};
pub use needs::{Needs, Reach};
pub use placement::{Placement, hooks_of};
pub use probes::Probes;
pub use ring::Ring;
pub use rings::{Rings, Switch};
pub use sockets::Missing;
pub use sweep::{Ends, Fill, Swept, Table, Threads};

/// The BPF object, built from `tracer-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tlscope.bpf.o"));

/// The BPF object's bytes, for those who want to look into them.
pub fn object() -> &'static [u8] {
    OBJECT
}

/// How much is captured, how much room it has, and what is told.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes captured per call.
    pub call_bytes: u64,
    /// Bytes of each CPU's ring; a power of two, and at least a page.
    pub ring_bytes: u32,
    /// Calls that may be in flight, if it is not the usual number.
    pub calls: Option<u32>,
    /// Connections whose positions are kept, at most [`tracer_ebpf::MAX_CONNECTIONS`].
    pub connections: u32,
    /// What is traced and told.
    pub flags: SettingFlags,
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

/// Finds a program of the object, by its name and kind.
fn program_of<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, Error>
where
    &'a mut P: TryFrom<&'a mut Loaded, Error = aya::programs::ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
    program.try_into().map_err(Error::program(name))
}
