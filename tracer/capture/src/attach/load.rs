//! What the programs are loaded with: the sizes of their maps, and how and when those of uprobes are loaded.

use std::sync::Arc;

use aya::{
    Ebpf,
    programs::{ProgramError, UProbe},
};
use tracer_ebpf::{MAX_CALLS, MAX_TARGETS, SettingFlags};

use super::{Error, Options, multi::MultiPrograms, program::Program, program_of};

/// The programs that almost every library needs: the others are loaded when a process needs them. Those that take the kernel
/// longest come first.
const USUAL: [Program; 5] = [
    Program::CallExit,
    Program::Tap,
    Program::CallEntry,
    Program::ConnectionEnd,
    Program::BioReplaced,
];

/// Begins to load the usual programs of uprobes for links of many; `None` if the kernel has no such links.
pub(super) fn begin_loading(ebpf: &Ebpf) -> Option<Arc<MultiPrograms>> {
    let multi = Arc::new(MultiPrograms::link(ebpf).ok()?);
    multi.load_ahead(&USUAL);
    Some(multi)
}

/// Loads the usual programs that are not loaded yet: by themselves if the kernel has no links of many, or refuses one of them,
/// which shows why.
pub(super) fn finish_loading(
    ebpf: &mut Ebpf,
    multi: Option<Arc<MultiPrograms>>,
) -> Result<Option<Arc<MultiPrograms>>, Error> {
    // In the other order than the thread does, so that they meet.
    if let Some(multi) = multi
        && USUAL.iter().rev().all(|program| multi.load(*program).is_ok())
    {
        return Ok(Some(multi));
    }
    for program in USUAL {
        load_single(ebpf, program).map_err(Error::program(program.name()))?;
    }
    Ok(None)
}

/// Loads a program for links of one probe each, unless it is loaded.
pub(super) fn load_single(ebpf: &mut Ebpf, program: Program) -> Result<&mut UProbe, ProgramError> {
    let single: &mut UProbe = program_of(ebpf, program.name()).map_err(|_missing| ProgramError::NotLoaded)?;
    if single.fd().is_err() {
        single.load()?;
    }
    Ok(single)
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
