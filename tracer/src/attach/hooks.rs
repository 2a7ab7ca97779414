//! The kernel's own hooks: what happens to processes.
//!
//! In: the loaded object. Out: the hooks in place. Refuses a kernel without the tracepoints of its scheduler.

use aya::{Ebpf, programs::RawTracePoint};

use super::Error;

/// The program behind each tracepoint of the scheduler.
const TRACEPOINTS: [(&str, &str); 3] = [
    ("process_forked", "sched_process_fork"),
    ("process_executed", "sched_process_exec"),
    ("process_ended", "sched_process_exit"),
];

/// Puts the hooks in place.
pub(super) fn attach(ebpf: &mut Ebpf) -> Result<(), Error> {
    for (program, tracepoint) in TRACEPOINTS {
        let hook: &mut RawTracePoint = super::program_of(ebpf, program)?;
        hook.load().map_err(Error::program(program))?;
        hook.attach(tracepoint).map_err(Error::program(program))?;
    }
    Ok(())
}
