//! The command line. Commands and options are stable from the first release.

use clap::{Parser, Subcommand};

#[cfg(not(feature = "live"))]
use super::unavailable::{
    Unavailable as AgentArgs, Unavailable as DoctorArgs, Unavailable as InspectArgs, Unavailable as RecordArgs,
    Unavailable as TopArgs, Unavailable as TraceArgs,
};
#[cfg(feature = "live")]
use super::{
    agent::AgentArgs,
    doctor::DoctorArgs,
    live_arguments::{InspectArgs, RecordArgs, TraceArgs},
    top::TopArgs,
};
use super::{completions::CompletionsArgs, man::ManArgs, replay::ReplayArgs, stat::StatArgs};

/// Prints the HTTP requests and responses inside the TLS traffic of running processes
#[derive(Debug, Parser)]
#[command(name = "tlscope", version, long_version = env!("TLSCOPE_LONG_VERSION"), disable_help_subcommand = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Attach to running processes and print their requests and responses
    Trace(Box<TraceArgs>),
    /// Trace as a service, by a configuration file
    Agent(AgentArgs),
    /// Show what would be probed in a process or file, how it was found, and what cannot be traced
    Inspect(InspectArgs),
    /// Say whether tracing can work on this machine, or of a process, what limits it, and what to do about that
    Doctor(DoctorArgs),
    /// Attach to running processes and write raw records to a tape, which contains plaintext and secrets
    Record(Box<RecordArgs>),
    /// Print the requests and responses of a tape; needs no root
    Replay(Box<ReplayArgs>),
    /// Count the exchanges of running processes, or of a tape, per route, upstream and status
    Stat(Box<StatArgs>),
    /// Show the exchanges of running processes as a live table, and open one with its headers
    Top(Box<TopArgs>),
    /// Print the JSON Schema of the output of `-o json`
    Schema,
    /// Print the script that completes command lines in a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands to a folder
    Man(ManArgs),
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
