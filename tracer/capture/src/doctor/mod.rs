//! Finds out whether tracing can work here, and what would limit it: in the machine, and in a process.
//!
//! What prevents tracing is decided by the checks of [`crate::attach`], the same that tracing begins with. Nothing is
//! attached to any process, and no breakpoint is written.

mod finding;
mod machine;
mod clock;
mod memory;
mod tracers;
mod programs;
mod sites;
mod process;

use std::path::PathBuf;

pub use self::finding::{Finding, State, Subject};

/// Where the kernel describes the machine.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The mount point of procfs.
    pub proc: PathBuf,
    /// The mount point of sysfs.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: PathBuf::from("/proc"),
            sys: PathBuf::from("/sys"),
        }
    }
}

/// Examines the machine, and this process's rights on it. The BPF programs are loaded if nothing else prevents tracing.
pub fn examine_machine(roots: &Roots) -> Vec<Finding> {
    let mut findings = machine::examine(roots);
    findings.push(clock::examine(roots));
    findings.extend(memory::examine(roots));
    if findings.iter().all(|finding| finding.state != State::Prevents) {
        findings.push(programs::examine(roots));
    }
    findings.push(tracers::examine(roots));
    findings
}

/// Examines a process. Its probes are tried if this process may do so.
pub fn examine_process(pid: u32) -> Vec<Finding> {
    process::examine(pid)
}
