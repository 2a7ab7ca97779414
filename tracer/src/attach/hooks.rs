//! The kernel's own hooks: what happens to processes.
//!
//! In: the loaded object, and the kernel's BTF. Out: the hooks in place. Refuses a kernel without the tracepoints of its
//! scheduler. Where the hook for mappings is not to be had, libraries that come later are looked for; where there is no
//! BTF, so are processes that are forked, or end: a program's beginning alone can be told without it.

use aya::{
    Btf, Ebpf,
    programs::{FEntry, RawTracePoint},
};

use super::Error;

/// The program behind a tracepoint of the scheduler that needs to know nothing of the kernel's structures.
const EXECUTED: (&str, &str) = ("process_executed", "sched_process_exec");

/// The programs behind those that do.
const FORKED_AND_ENDED: [(&str, &str); 2] = [
    ("process_forked", "sched_process_fork"),
    ("process_ended", "sched_process_exit"),
];

/// The kernel's function that is called for each mapping of a file.
const MAPPING: &str = "uprobe_mmap";

/// How libraries that are loaded later are noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LateLibraries {
    /// The kernel tells of each mapping.
    Told,
    /// It does not; processes have to be looked at again and again.
    LookedFor,
}

/// How processes that are forked, or end, are noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changes {
    /// The kernel tells of each.
    Told,
    /// It does not; it has to be looked which processes there are.
    LookedFor,
}

/// Puts the hooks in place; without BTF, the few that do without.
pub(super) fn attach(ebpf: &mut Ebpf, btf: Option<&Btf>) -> Result<(Changes, LateLibraries), Error> {
    attach_tracepoint(ebpf, EXECUTED)?;
    let Some(btf) = btf else {
        return Ok((Changes::LookedFor, LateLibraries::LookedFor));
    };
    for tracepoint in FORKED_AND_ENDED {
        attach_tracepoint(ebpf, tracepoint)?;
    }
    Ok((Changes::Told, attach_to_mappings(ebpf, btf)?))
}

fn attach_tracepoint(ebpf: &mut Ebpf, (program, tracepoint): (&'static str, &str)) -> Result<(), Error> {
    let hook: &mut RawTracePoint = super::program_of(ebpf, program)?;
    hook.load().map_err(Error::program(program))?;
    hook.attach(tracepoint).map(drop).map_err(Error::program(program))
}

fn attach_to_mappings(ebpf: &mut Ebpf, btf: &Btf) -> Result<LateLibraries, Error> {
    let hook: &mut FEntry = super::program_of(ebpf, "file_mapped")?;
    let placed = hook.load(MAPPING, btf).and_then(|()| hook.attach());
    // No trampolines for this architecture or kernel, or the function is not to be had there.
    Ok(placed.map_or(LateLibraries::LookedFor, |_link| LateLibraries::Told))
}
