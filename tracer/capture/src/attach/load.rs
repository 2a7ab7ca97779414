//! What the programs are loaded with: the sizes of their maps, and how those of uprobes are loaded.

use aya::{Ebpf, programs::UProbe};
use tracer_ebpf::{MAX_CALLS, MAX_TARGETS, SettingFlags};

use super::{Error, Options, multi::MultiPrograms, program::Program, program_of};

/// Loads the programs of uprobes for links of many, or by themselves where the kernel has no such links.
pub(super) fn load_uprobes(ebpf: &mut Ebpf) -> Result<Option<MultiPrograms>, Error> {
    if let Ok(multi) = MultiPrograms::load(ebpf) {
        return Ok(Some(multi));
    }
    for name in Program::ALL.map(Program::name) {
        let program: &mut UProbe = program_of(ebpf, name)?;
        program.load().map_err(Error::program(name))?;
    }
    Ok(None)
}

/// Minimum size of the map of calls, if as many connections are tracked.
const FEW_CALLS: u32 = 4096;

/// Returns the size of each map that depends on the options. At any time, at most half of the connections are expected to
/// be in a call or to have pending ciphertext, and a quarter to have moved a large body: those of others are copied. A write is
/// kept for the moment until its thread sends.
pub(super) fn map_sizes(options: Options) -> [(&'static str, u32); 10] {
    let most = u32::try_from(MAX_CALLS).unwrap_or(u32::MAX);
    let usual = (options.connections / 2).clamp(options.connections.min(FEW_CALLS), most);
    let every = u32::try_from(MAX_TARGETS).unwrap_or(u32::MAX);
    let targets = if options.flags.contains(SettingFlags::ALL) {
        every
    } else {
        every * 3 / 8
    };
    let opened = if options.flags.contains(SettingFlags::CONNECTIONS) {
        options.connections
    } else {
        1
    };
    [
        ("CALLS", options.calls.unwrap_or(usual)),
        ("THREADS", usual / 2),
        ("WRITES", usual / 16),
        ("CONNECTIONS", options.connections),
        ("SKIPS", options.connections / 4 + 1),
        ("CIPHERTEXTS", usual / 2),
        ("SOCKETS", options.connections),
        ("OPENED", opened),
        ("TARGETS", targets),
        ("PROCESSES", targets),
    ]
}
