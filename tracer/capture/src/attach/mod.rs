//! Loads the BPF programs, attaches and detaches their probes, and creates their maps and rings.
//!
//! No other module makes BPF calls. [`Probes`] owns what is attached: dropping it detaches everything, and so does the
//! kernel if this process is killed. Probes report nothing until the [`Switch`] is on, so that tracing begins when all of
//! them are attached.

mod btf;
mod memory;
mod version;
mod capabilities;
mod kernel;
mod value;
mod error;
mod needs;
mod ends;
mod kinds;
mod placement;
mod program;
mod syscall;
mod multi;
mod reached;
mod probed;
mod operands;
mod ring;
mod rings;
mod cpus;
mod tables;
mod batch;
mod skips;
mod sweep;
mod lifecycle;
mod mappings;
mod sockets;
mod load;
mod probes;
mod fallback;
mod trial;
#[cfg(test)]
mod hits;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registered;
#[cfg(test)]
mod sends;
#[cfg(test)]
mod skipped;

use std::path::PathBuf;

use aya::{Ebpf, programs::Program as Loaded};
use tracer_ebpf::SettingFlags;
use tracer_observe::batch::SiteEntry;

use crate::target::DebugFiles;

pub use capabilities::give_up_admin;
pub(crate) use capabilities::{allows_single_uprobes, own_capabilities};
pub use cpus::{Arrival, Arrivals, Cpus};
pub use error::Error;
pub use kernel::{Kernel, Reason, Undescribed, check, check_kernel, check_target};
pub(crate) use kernel::{check_pid_namespace, check_privileges, check_release, check_uprobes};
pub use kinds::{Chosen, Kinds, ThreadMemory};
pub use lifecycle::Lifecycle;
pub use mappings::{Mappings, Watched};
pub use memory::trim as trim_memory;
pub use needs::{Calls, Needs, Reach};
pub use placement::Placement;
pub use probes::Probes;
pub(crate) use program::probed_offsets;
pub use ring::Ring;
pub use rings::{Rings, Switch};
pub use skips::SkipTable;
pub use sockets::Missing;
pub use sweep::{Ends, Fill, Swept, Table, Threads};
pub(crate) use trial::try_probes;
pub use version::KernelVersion;

/// The BPF object, built from `tracer-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tlscope.bpf.o"));

/// Returns the bytes of the BPF object.
pub fn object() -> &'static [u8] {
    OBJECT
}

/// How much is captured, and the sizes of rings and maps.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Maximum bytes captured per call.
    pub call_bytes: u64,
    /// Size of each CPU's ring in bytes: a power of two, and at least a page.
    pub ring_bytes: u32,
    /// Maximum calls in flight; by default it depends on `connections`.
    pub calls: Option<u32>,
    /// Maximum connections that are tracked; at most [`tracer_ebpf::MAX_CONNECTIONS`].
    pub connections: u32,
    /// Which processes are traced, and which records are written.
    pub flags: SettingFlags,
    /// The kinds of hooks that may be used.
    pub kinds: Kinds,
    /// Where the symbols of stripped files are looked for.
    pub debug_files: DebugFiles,
}

/// A probed function of a file. Records refer to it by its index.
#[derive(Clone, Debug)]
pub struct SiteInfo {
    /// Path of the file in the process's mount namespace.
    pub path: PathBuf,
    /// The function.
    pub function: String,
    /// Short name of the TLS library: `openssl`; `none` for sockets without TLS.
    pub library: &'static str,
}

impl SiteInfo {
    /// Returns the site as the stream of batches announces it.
    pub(crate) fn entry(&self) -> SiteEntry {
        SiteEntry {
            path: self.path.display().to_string(),
            function: self.function.clone(),
            library: self.library.to_owned(),
        }
    }

    /// The site of the sockets of the kernel that carry no TLS.
    fn plain() -> Self {
        Self {
            path: PathBuf::from("the kernel"),
            function: "sockets without TLS".to_owned(),
            library: "none",
        }
    }
}

/// Finds a program of the object by its name and type.
fn program_of<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, Error>
where
    &'a mut P: TryFrom<&'a mut Loaded, Error = aya::programs::ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
    program.try_into().map_err(Error::program(name))
}
