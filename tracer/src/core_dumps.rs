//! Core dumps are turned off: one would hold plaintext of the traced processes.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::messages::say;

/// Turns core dumps of this process off. The size limit alone is not enough: the kernel ignores it if `core_pattern` pipes
/// cores to a program (`core(5)`).
pub(crate) fn disable() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let refused = [
        set_dumpable_behavior(DumpableBehavior::NotDumpable),
        setrlimit(Resource::Core, none),
    ];
    for error in refused.into_iter().filter_map(Result::err) {
        say(&format!(
            "core dumps cannot be turned off: {error}; one would hold plaintext"
        ));
    }
}
