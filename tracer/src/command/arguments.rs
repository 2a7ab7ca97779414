//! The words of the command line; a contract, stable from the first release.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use tracer_observe::{filter::FilterArgs, output::Format, redact::RedactArgs};

#[cfg(feature = "live")]
use super::live_arguments::{InspectArgs, RecordArgs, TraceArgs};
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
    Trace(TraceArgs),
    /// Say what would be probed in a process or file, how it was found, and what will not be seen
    Inspect(InspectArgs),
    /// Attach to running processes and write raw records to a tape: plaintext, secrets included
    Record(RecordArgs),
    /// Stream the requests and responses of a tape; needs no root
    Replay(Box<ReplayArgs>),
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// The tape
    #[arg(value_name = "FILE")]
    pub(super) tape: PathBuf,
    #[command(flatten)]
    pub(super) show: ShowArgs,
}

/// What is shown, and how.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Form of the output; text on a terminal, else json
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    pub(super) output: Option<Format>,
    /// Write to this file and not to stdout
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Stop after this many exchanges
    #[arg(short = 'n', long = "count", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Print an exchange this long after its response head, even if it goes on
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub(super) hold: Duration,
    /// Print each connection at its end, too: its handshake, its transport, how it ended
    #[arg(long)]
    pub(super) connections: bool,
    /// Say on stderr, at the end, what was counted while decoding
    #[arg(short = 'v', long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) redact: RedactArgs,
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
