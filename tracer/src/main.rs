//! The command `tlscope`.
//!
//! `command` parses the command line and has one file for each command. A command feeds batches to a `consumer`: from a
//! running kernel by `engine`, or from a tape. `top` is a user interface, `line_queue`, `private_file` and `messages` are where output goes.

mod limits;
#[cfg(feature = "live")]
mod line_queue;
mod private_file;
mod encryption;
mod log_file;
mod memory_file;
mod blocking_lines;
mod hangups;
mod messages;
mod core_dumps;
mod totals;
mod consumer;
mod pipeline_consumer;
mod alert_command;
mod outcome;
#[cfg(feature = "live")]
mod top;
#[cfg(feature = "live")]
mod service;
mod audit;
#[cfg(feature = "live")]
mod engine;
mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
