//! The tracepoints of fork, exec and exit.
//!
//! The programs at fork and exit read structures of the kernel, whose layout only BTF gives. Without it only exec is
//! reported, and the follower polls `/proc` for the rest.

use aya::{Ebpf, programs::RawTracePoint};

use super::Error;

/// The program at exec, which reads no structures, and its tracepoint.
const EXEC: (&str, &str) = ("process_executed", "sched_process_exec");

/// The programs at fork and exit, and their tracepoints.
const FORK_AND_EXIT: [(&str, &str); 2] = [
    ("process_forked", "sched_process_fork"),
    ("process_ended", "sched_process_exit"),
];

/// How the follower learns of forks and exits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lifecycle {
    /// The kernel reports each one. A child is in the TARGETS map by then.
    Reported,
    /// The follower has to poll `/proc`.
    Polled,
}

/// Attaches to the tracepoints; to those of fork and exit only if the kernel's structures are known.
pub(super) fn attach(ebpf: &mut Ebpf, structures_are_known: bool) -> Result<Lifecycle, Error> {
    attach_tracepoint(ebpf, EXEC)?;
    if !structures_are_known {
        return Ok(Lifecycle::Polled);
    }
    for tracepoint in FORK_AND_EXIT {
        attach_tracepoint(ebpf, tracepoint)?;
    }
    Ok(Lifecycle::Reported)
}

fn attach_tracepoint(ebpf: &mut Ebpf, (name, tracepoint): (&'static str, &str)) -> Result<(), Error> {
    let program: &mut RawTracePoint = super::program_of(ebpf, name)?;
    program.load().map_err(Error::program(name))?;
    program.attach(tracepoint).map(drop).map_err(Error::program(name))
}
