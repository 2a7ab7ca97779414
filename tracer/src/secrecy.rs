//! Keeping the plaintext in memory out of files.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::messages::say;

/// Has the kernel write no core of this process. A limit of none does not hold where cores are piped to a program
/// (`core(5)`), so the process is made one that is not dumped, too.
pub(crate) fn forbid_core_dumps() {
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
