//! The command `tlscope`: the command line, and what its commands do with the packages that do the work.
//!
//! From the bottom up: where output goes (`writer`, `private`, `messages`), what is said at the end (`totals`), how a
//! pipeline is fed (`consumer`, `stream`), a session that feeds it from a running kernel (`engine`), and
//! one file for each command (`command`).

#[cfg(feature = "live")]
mod limits;
#[cfg(feature = "live")]
mod writer;
mod private;
mod messages;
mod secrecy;
mod totals;
mod consumer;
mod stream;
mod outcome;
#[cfg(feature = "live")]
mod engine;
mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
