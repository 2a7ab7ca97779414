//! The command line, and what its five commands do.
//!
//! In: the words that were typed. Out: lines on stdout, everything else on stderr, and an exit code. Refuses wrong
//! usage with exit code 2, before anything is attached or printed.

mod arguments;
#[cfg(feature = "live")]
mod live_arguments;
mod show;
#[cfg(feature = "live")]
mod trace;
#[cfg(feature = "live")]
mod record;
mod replay;
#[cfg(feature = "live")]
mod inspect;
#[cfg(not(feature = "live"))]
mod unavailable;
mod schema;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use self::arguments::{Command, CommandLine};
#[cfg(not(feature = "live"))]
use self::{unavailable as inspect, unavailable as record, unavailable as trace};
#[cfg(feature = "live")]
use crate::messages;
use crate::{messages::say, outcome::Outcome, secrecy};

/// Runs the command line; errors are said once, in one line.
pub(crate) fn run() -> ExitCode {
    let outcome = match CommandLine::try_parse() {
        Ok(CommandLine { command }) => dispatch(&command),
        Err(usage) => return reject(&usage),
    };
    let code = match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    };
    #[cfg(feature = "live")]
    messages::finish();
    code
}

fn dispatch(command: &Command) -> Result<Outcome> {
    match command {
        // They see no plaintext.
        Command::Inspect(_) | Command::Schema => {}
        Command::Trace(_) | Command::Record(_) | Command::Replay(_) => secrecy::forbid_core_dumps(),
    }
    match command {
        Command::Trace(arguments) => trace::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Schema => schema::run(),
    }
}

/// Help and version are answers and not failures; clap knows which.
fn reject(usage: &clap::Error) -> ExitCode {
    let code = u8::try_from(usage.exit_code()).unwrap_or(2);
    match usage.print() {
        Ok(()) => ExitCode::from(code),
        Err(_closed) => ExitCode::SUCCESS,
    }
}
