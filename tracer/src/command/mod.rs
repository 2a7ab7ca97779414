//! The command line and its commands.
//!
//! Data goes to stdout and everything else to stderr. The exit code is 0 for success, 1 for a failure and 2 for wrong usage,
//! which is reported before anything is attached or printed.

mod arguments;
mod audit_arguments;
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

use std::{env, process::ExitCode};

use anyhow::Result;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use self::arguments::{Command, CommandLine};
#[cfg(not(feature = "live"))]
use self::{
    unavailable as agent, unavailable as doctor, unavailable as inspect, unavailable as record, unavailable as top,
    unavailable as trace,
};
#[cfg(feature = "live")]
use crate::messages;
use crate::{audit::Options, core_dumps, messages::complain, outcome::Outcome};

/// Parses the command line and runs the command. Prints its error, if any, on one line.
pub(crate) fn run() -> ExitCode {
    let outcome = match parse() {
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

/// Parses the command line.
fn parse() -> Result<Command, clap::Error> {
    let mut line = CommandLine::command();
    let matches = line.try_get_matches_from_mut(env::args_os())?;
    let parsed = CommandLine::from_arg_matches(&matches);
    let CommandLine { mut command } = parsed.map_err(|error| error.format(&mut line))?;
    check(&command)?;
    keep_options(&line, &matches, &mut command);
    Ok(command)
}

/// Keeps the options that were given, for the audit.
fn keep_options(line: &clap::Command, matches: &ArgMatches, command: &mut Command) {
    let audit = match command {
        #[cfg(feature = "live")]
        Command::Trace(arguments) => &mut arguments.live.audit,
        #[cfg(feature = "live")]
        Command::Record(arguments) => &mut arguments.live.audit,
        #[cfg(feature = "live")]
        Command::Top(arguments) => &mut arguments.live.audit,
        #[cfg(not(feature = "live"))]
        Command::Trace(_) | Command::Record(_) | Command::Top(_) => return,
        Command::Replay(arguments) => &mut arguments.audit,
        Command::Stat(arguments) => arguments.audit_mut(),
        // The options of an agent are in its configuration. The others trace nothing.
        Command::Agent(_)
        | Command::Inspect(_)
        | Command::Doctor(_)
        | Command::Schema
        | Command::Completions(_)
        | Command::Man(_) => return,
    };
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = line.find_subcommand(name)
    {
        audit.options = Options::of(command, matches);
    }
}

/// Checks what the parser cannot: options that do not go together with the value of another one.
fn check(command: &Command) -> Result<(), clap::Error> {
    match command {
        #[cfg(feature = "live")]
        Command::Trace(arguments) => arguments.output.check(),
        #[cfg(not(feature = "live"))]
        Command::Trace(_) => Ok(()),
        Command::Replay(arguments) => arguments.output.check(),
        #[cfg(feature = "live")]
        Command::Record(arguments) => {
            arguments.encrypt.check()?;
            arguments.live.audit.check_without_output()
        }
        Command::Stat(arguments) => arguments.check(),
        #[cfg(feature = "live")]
        Command::Top(arguments) => arguments.live.audit.check_without_output(),
        #[cfg(not(feature = "live"))]
        Command::Record(_) | Command::Top(_) => Ok(()),
        // The configuration of an agent was checked as it was read.
        Command::Agent(_)
        | Command::Inspect(_)
        | Command::Doctor(_)
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

#[cfg(test)]
#[cfg(feature = "live")]
mod tests;
