//! The kernel's own hooks: what happens to processes.
//!
//! In: the loaded object. Out: the hooks in place. Refuses a kernel without the tracepoints of its scheduler. Where the
//! kernel's structures are not known, only that a program begins can be told: processes that are forked, or end, are
//! looked for then.

use aya::{Ebpf, programs::RawTracePoint};

use super::Error;

/// The program behind a tracepoint of the scheduler that needs to know nothing of the kernel's structures.
const EXECUTED: (&str, &str) = ("process_executed", "sched_process_exec");

/// The programs behind those that do.
const FORKED_AND_ENDED: [(&str, &str); 2] = [
    ("process_forked", "sched_process_fork"),
    ("process_ended", "sched_process_exit"),
];

/// How processes that are forked, or end, are noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changes {
    /// The programs tell of each, and have traced it by then.
    Told,
    /// It has to be looked which processes there are.
    LookedFor,
}

/// Puts the hooks in place, those that need the kernel's structures only if these `are_known`.
pub(super) fn attach(ebpf: &mut Ebpf, are_known: bool) -> Result<Changes, Error> {
    attach_tracepoint(ebpf, EXECUTED)?;
    if !are_known {
        return Ok(Changes::LookedFor);
    }
    for tracepoint in FORKED_AND_ENDED {
        attach_tracepoint(ebpf, tracepoint)?;
    }
    Ok(Changes::Told)
}

fn attach_tracepoint(ebpf: &mut Ebpf, (program, tracepoint): (&'static str, &str)) -> Result<(), Error> {
    let hook: &mut RawTracePoint = super::program_of(ebpf, program)?;
    hook.load().map_err(Error::program(program))?;
    hook.attach(tracepoint).map(drop).map_err(Error::program(program))
}
