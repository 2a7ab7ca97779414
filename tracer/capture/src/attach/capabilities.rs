//! The capabilities of this process.

use std::{io, path::Path};

use procfs::{FromRead as _, process::Status};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
};

use super::version::KernelVersion;

/// Links of many uprobes need these.
const MANY: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON);
/// Single uprobes need this one, which includes those.
const SINGLE: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// Returns whether a set of capabilities is enough to trace.
pub(super) fn are_enough(held: CapabilitySet, version: Option<KernelVersion>) -> bool {
    held.contains(SINGLE) || can_attach_many(held, version)
}

/// Returns whether a set of capabilities is enough for perf events of uprobes.
pub(crate) fn allows_single_uprobes(held: Option<CapabilitySet>) -> bool {
    held.is_some_and(|held| held.contains(SINGLE))
}

/// Returns the effective capabilities of this process.
pub(crate) fn own_capabilities(proc: &Path) -> Option<CapabilitySet> {
    let status = Status::from_file(proc.join("self/status")).ok()?;
    Some(CapabilitySet::from_bits_retain(status.capeff))
}

/// Gives up `CAP_SYS_ADMIN` for this thread, and for those and the programs that it starts, where the kernel traces without it.
pub fn give_up_admin() -> io::Result<()> {
    let sets = capabilities(None)?;
    if !sets.effective.contains(SINGLE) || !can_attach_many(sets.effective, KernelVersion::running()) {
        return Ok(());
    }
    // Root gets back what is in the bounding set when it executes a program, unless it may gain no privileges. Only
    // CAP_SETPCAP allows to change that set.
    match remove_capability_from_bounding_set(SINGLE) {
        Ok(()) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let without = CapabilitySets {
        effective: sets.effective.difference(SINGLE),
        permitted: sets.permitted.difference(SINGLE),
        inheritable: sets.inheritable.difference(SINGLE),
    };
    Ok(set_capabilities(None, without)?)
}

fn can_attach_many(held: CapabilitySet, version: Option<KernelVersion>) -> bool {
    version.is_some_and(|version| version >= KernelVersion::MANY_UPROBES) && held.contains(MANY)
}
