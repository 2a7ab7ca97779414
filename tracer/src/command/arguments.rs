//! The words of the command line; a contract, stable from the first release.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "live")]
use super::live_arguments::{InspectArgs, RecordArgs, TraceArgs};
use super::show::ShowArgs;
#[cfg(not(feature = "live"))]
use super::unavailable::{Unavailable as InspectArgs, Unavailable as RecordArgs, Unavailable as TraceArgs};

/// Streams the HTTP heads of a running gateway's TLS traffic.
#[derive(Debug, Parser)]
#[command(name = "tlscope", version, disable_help_subcommand = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Attach to running processes and stream their requests and responses
    Trace(Box<TraceArgs>),
    /// Say what would be probed in a process or file, how it was found, and what will not be seen
    Inspect(InspectArgs),
    /// Attach to running processes and write raw records to a tape: plaintext, secrets included
    Record(RecordArgs),
    /// Stream the requests and responses of a tape; needs no root
    Replay(Box<ReplayArgs>),
    /// Print the JSON Schema of the lines of `-o json`
    Schema,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// The tape
    #[arg(value_name = "FILE")]
    pub(super) tape: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
