//! Hangups (SIGHUP) while nothing handles them.
//!
//! One that finds no handler ends the program, so an agent that executes itself holds them back until it handles them again.

use nix::sys::signal::{SigSet, Signal};

/// Holds hangups back in this thread and in those that it starts, also across `execve(2)`.
#[cfg(feature = "live")]
pub(crate) fn hold() -> nix::Result<()> {
    hangups().thread_block()
}

/// Lets hangups through to this thread, those first that were [held back](hold). They need a handler by now.
pub(crate) fn release() -> nix::Result<()> {
    hangups().thread_unblock()
}

fn hangups() -> SigSet {
    SigSet::from(Signal::SIGHUP)
}
