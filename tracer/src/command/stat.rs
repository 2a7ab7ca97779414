//! `tlscope stat`: counts the exchanges of processes, or of a tape, instead of printing them.

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use tracer_observe::{
    filter::{Filter, FilterArgs},
    output::Lines,
    pipeline::Options,
    redact::{RedactArgs, Redactor},
    stat::{Form, Stat},
};

#[cfg(feature = "live")]
use super::live_arguments::LiveArgs;
use super::{
    audit_arguments::AuditArgs,
    message_arguments::MessageArgs,
    output_arguments,
    replay::{self, Input, Printed},
    style_arguments::StyleArgs,
};
use crate::{
    encryption::IdentityArgs,
    log_file::{Lost, LostLines},
    outcome::Outcome,
};

#[derive(Args, Debug)]
pub(super) struct StatArgs {
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub(super) live: LiveArgs,
    /// Count the exchanges of this tape, or of the one on stdin (`-`), instead of those of processes; needs no root
    #[cfg_attr(feature = "live", arg(group = "SelectionArgs", conflicts_with_all = [
        "pids", "programs", "containers", "users", "ports", "all", "wait", "no_follow", "duration",
    ]))]
    #[cfg_attr(not(feature = "live"), arg(required = true))]
    #[arg(long, value_name = "FILE")]
    tape: Option<PathBuf>,
    #[command(flatten)]
    keys: IdentityArgs,
    #[cfg(not(feature = "live"))]
    #[command(flatten)]
    audit: AuditArgs,
    /// Print a statistic of each interval, such as 10s, by the time of the records; without it, one at the end
    #[arg(long, value_name = "DURATION", value_parser = parse_interval)]
    interval: Option<Duration>,
    /// Output format; text on a terminal, else json
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    form: Option<Form>,
    /// Write to this file instead of stdout
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Of a gateway, also count how long it had each request itself; a filter that one side of it passes then counts both
    #[arg(long)]
    hops: bool,
    #[command(flatten)]
    messages: MessageArgs,
    #[command(flatten)]
    style: StyleArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    redact: RedactArgs,
}

impl StatArgs {
    /// Checks what the parser cannot: it lets an option be that needs one which others exclude.
    pub(super) fn check(&self) -> Result<(), clap::Error> {
        if self.tape.is_none() && self.keys.are_given() {
            let message = "--identity is for the tape of --tape";
            return Err(clap::Error::raw(
                clap::error::ErrorKind::MissingRequiredArgument,
                format!("{message}\n"),
            ));
        }
        self.audit().check_without_output()
    }

    const fn audit(&self) -> &AuditArgs {
        #[cfg(feature = "live")]
        let audit = &self.live.audit;
        #[cfg(not(feature = "live"))]
        let audit = &self.audit;
        audit
    }

    /// Returns the options of the audit.
    pub(super) const fn audit_mut(&mut self) -> &mut AuditArgs {
        #[cfg(feature = "live")]
        let audit = &mut self.live.audit;
        #[cfg(not(feature = "live"))]
        let audit = &mut self.audit;
        audit
    }
}

pub(super) fn run(arguments: &StatArgs) -> Result<Outcome> {
    arguments.messages.quiet.apply();
    let file = arguments.file.as_deref();
    if let Some(tape) = &arguments.tape {
        let printed = match arguments.interval {
            Some(_) => Printed::Continuously,
            None => Printed::AtTheEnd,
        };
        let audit = arguments
            .audit()
            .open_of_tape("stat", &arguments.redact, &arguments.keys)?;
        let input = Input {
            path: tape,
            keys: &arguments.keys,
        };
        return replay::replay(input, audit.as_ref(), file, printed, || {
            let (lines, lost) = output_arguments::blocking_lines(file)?;
            options(arguments, lines, lost)
        });
    }
    live(arguments)
}

#[cfg(feature = "live")]
fn live(arguments: &StatArgs) -> Result<Outcome> {
    let audit = arguments.audit().open("stat", Some(&arguments.redact))?;
    audit.attempt(|audit| count(arguments, audit))
}

#[cfg(feature = "live")]
fn count(arguments: &StatArgs, audit: &crate::audit::Auditor) -> Result<Outcome> {
    use tracer_ebpf::SettingFlags;

    use super::trace;
    use crate::{
        engine,
        log_file::{LogFile, Rotation},
    };

    let kernel = engine::check()?;
    let log = arguments
        .file
        .as_deref()
        .map(|path| LogFile::create(path, Rotation::default(), true));
    let (lines, lost) = trace::open_output(log.transpose()?)?;
    let options = options(arguments, lines.clone(), lost)?;
    let request = arguments.live.request(SettingFlags::CONNECTIONS, audit);
    trace::run_pipeline(&kernel, request, lines, options)
}

#[cfg(not(feature = "live"))]
fn live(_arguments: &StatArgs) -> Result<Outcome> {
    anyhow::bail!("this build cannot trace: built without the feature `live`")
}

fn options(arguments: &StatArgs, lines: impl Lines + Send + 'static, lost: Option<Lost>) -> Result<Options> {
    let is_terminal = arguments.file.is_none() && stdout().is_terminal();
    let form = arguments
        .form
        .unwrap_or(if is_terminal { Form::Text } else { Form::Json });
    let style = arguments.style.style(is_terminal);
    output_arguments::warn_of_secrets(&arguments.redact);
    Ok(Options {
        decode: http_decode::Settings::default(),
        redactor: Redactor::new(arguments.redact.rules()?),
        filter: Filter::new(arguments.filter.clone()),
        policy: None,
        sink: LostLines::of(Box::new(Stat::new(lines, form, style, arguments.interval)), lost),
        limit: None,
        connections: true,
        hops: arguments.hops,
        verbose: arguments.messages.verbose,
    })
}

/// Parses the time between two statistics, which is not zero.
fn parse_interval(word: &str) -> Result<Duration, String> {
    match humantime::parse_duration(word) {
        Ok(Duration::ZERO) => Err("wanted more than no time".to_owned()),
        Ok(interval) => Ok(interval),
        Err(error) => Err(error.to_string()),
    }
}
