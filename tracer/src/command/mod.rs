//! The command line and its commands.
//!
//! Data goes to stdout and everything else to stderr. The exit code is 0 for success, 1 for a failure and 2 for wrong usage,
//! which is reported before anything is attached or printed.

mod arguments;
#[cfg(feature = "live")]
mod live_arguments;
mod file_arguments;
mod output_arguments;
mod style_arguments;
#[cfg(feature = "live")]
mod trace;
#[cfg(feature = "live")]
mod agent;
#[cfg(feature = "live")]
mod record;
mod replay;
mod stat;
#[cfg(feature = "live")]
mod top;
#[cfg(feature = "live")]
mod inspect;
#[cfg(feature = "live")]
mod doctor;
#[cfg(not(feature = "live"))]
mod unavailable;
mod schema;
mod completions;
mod man;
mod plain_output;
mod message_arguments;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _};

use self::arguments::{Command, CommandLine};
#[cfg(not(feature = "live"))]
use self::{
    unavailable as agent, unavailable as doctor, unavailable as inspect, unavailable as record, unavailable as top,
    unavailable as trace,
};
#[cfg(feature = "live")]
use crate::messages;
use crate::{core_dumps, messages::complain, outcome::Outcome};

/// Parses the command line and runs the command. Prints its error, if any, on one line.
pub(crate) fn run() -> ExitCode {
    let parsed = CommandLine::try_parse().and_then(|CommandLine { command }| {
        check(&command)?;
        Ok(command)
    });
    let outcome = match parsed {
        Ok(command) => dispatch(&command),
        Err(usage) => return reject(&usage),
    };
    let code = match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    };
    #[cfg(feature = "live")]
    messages::flush();
    code
}

/// Checks what the parser cannot: options that do not go together with the value of another one.
fn check(command: &Command) -> Result<(), clap::Error> {
    match command {
        #[cfg(feature = "live")]
        Command::Trace(arguments) => arguments.output.check(),
        #[cfg(not(feature = "live"))]
        Command::Trace(_) => Ok(()),
        Command::Replay(arguments) => arguments.output.check(),
        // The configuration of an agent was checked as it was read.
        Command::Agent(_)
        | Command::Inspect(_)
        | Command::Doctor(_)
        | Command::Record(_)
        | Command::Stat(_)
        | Command::Top(_)
        | Command::Schema
        | Command::Completions(_)
        | Command::Man(_) => Ok(()),
    }
}

fn dispatch(command: &Command) -> Result<Outcome> {
    match command {
        // These handle no plaintext.
        Command::Inspect(_) | Command::Doctor(_) | Command::Schema | Command::Completions(_) | Command::Man(_) => {}
        Command::Trace(_)
        | Command::Agent(_)
        | Command::Record(_)
        | Command::Replay(_)
        | Command::Stat(_)
        | Command::Top(_) => {
            core_dumps::disable();
        }
    }
    match command {
        Command::Trace(arguments) => trace::run(arguments),
        Command::Agent(arguments) => agent::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Stat(arguments) => stat::run(arguments),
        Command::Top(arguments) => top::run(arguments),
        Command::Schema => schema::run(),
        Command::Completions(arguments) => completions::run(arguments, CommandLine::command()),
        Command::Man(arguments) => man::run(arguments, CommandLine::command()),
    }
}

/// Prints an error of clap, or the text of `--help` and `--version`, which exit with 0.
fn reject(usage: &clap::Error) -> ExitCode {
    let code = u8::try_from(usage.exit_code()).unwrap_or(2);
    match usage.print() {
        Ok(()) => ExitCode::from(code),
        Err(_closed) => ExitCode::SUCCESS,
    }
}
