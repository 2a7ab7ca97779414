//! The kernel's own hooks: what happens to processes.
//!
//! In: the loaded object, and the kernel's BTF. Out: the hooks in place. Refuses a kernel without the tracepoints of its
//! scheduler; where the hook for mappings is not to be had, says so, and libraries that come later are looked for.

use aya::{
    Btf, Ebpf,
    programs::{FEntry, RawTracePoint},
};

use super::Error;

/// The program behind each tracepoint of the scheduler.
const TRACEPOINTS: [(&str, &str); 3] = [
    ("process_forked", "sched_process_fork"),
    ("process_executed", "sched_process_exec"),
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

/// Puts the hooks in place.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf) -> Result<LateLibraries, Error> {
    for (program, tracepoint) in TRACEPOINTS {
        let hook: &mut RawTracePoint = super::program_of(ebpf, program)?;
        hook.load().map_err(Error::program(program))?;
        hook.attach(tracepoint).map_err(Error::program(program))?;
    }
    let hook: &mut FEntry = super::program_of(ebpf, "file_mapped")?;
    let placed = hook.load(MAPPING, btf).and_then(|()| hook.attach());
    // No trampolines for this architecture or kernel, or the function is not to be had there.
    Ok(placed.map_or(LateLibraries::LookedFor, |_link| LateLibraries::Told))
}
