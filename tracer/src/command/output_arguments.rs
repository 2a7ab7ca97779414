//! The output options of `trace` and `replay`.

use std::{
    io::{IsTerminal as _, stdout},
    path::Path,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
#[cfg(feature = "export")]
use tracer_export::ExportArgs;
use tracer_observe::{
    batch::Source,
    filter::{Filter, FilterArgs},
    ids::{IdHeader, IdHeaders},
    output::{Fork, Format, Lines, Sink, Style},
    pipeline::Options,
    policy::PolicyArgs,
    redact::{RedactArgs, Redactor},
};

use super::{file_arguments::FileArgs, message_arguments::MessageArgs, style_arguments::StyleArgs};
use crate::{
    alert_command::AlertCommand,
    blocking_lines::BlockingLines,
    log_file::{LogFile, Lost, LostLines, Rotation},
    messages::say,
};

/// What is printed, where and in which format.
#[derive(Args, Debug)]
pub(super) struct OutputArgs {
    /// Output format; text on a terminal, else json
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) to: FileArgs,
    /// Stop after this many exchanges
    #[arg(short = 'n', long = "count", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Print an exchange this long after its response head, even if it has not ended
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub(super) hold: Duration,
    /// Also print each connection when it ends, with its handshake and transport statistics
    #[arg(long)]
    pub(super) connections: bool,
    /// Print hops instead of exchanges: each request to a gateway with those that the gateway made because of it, and what it
    /// changed
    #[arg(long)]
    pub(super) hops: bool,
    #[command(flatten)]
    pub(super) messages: MessageArgs,
    /// Take the id of a request from this header, in place of X-Request-ID and the like; may be repeated, the first that
    /// there is counts
    #[arg(long = "id-header", value_name = "NAME")]
    pub(super) id_headers: Vec<IdHeader>,
    #[command(flatten)]
    pub(super) style: StyleArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) redact: RedactArgs,
    #[command(flatten)]
    pub(super) policy: PolicyArgs,
    /// Run this command of the shell for each alert, with its line of JSON on stdin
    #[arg(long, value_name = "COMMAND", requires = "policy", help_heading = "Policy")]
    pub(super) alert_exec: Option<String>,
    #[cfg(feature = "export")]
    #[command(flatten)]
    pub(super) export: ExportArgs,
}

impl OutputArgs {
    /// Checks what the parser of the command line cannot.
    pub(super) fn check(&self) -> Result<(), clap::Error> {
        self.to.check(self.format == Some(Format::Har))
    }

    /// Creates the file of `-w`, if there is one.
    pub(super) fn create_file(&self) -> Result<Option<LogFile>> {
        let Some(path) = &self.to.file else {
            return Ok(None);
        };
        let reopens = self.format != Some(Format::Har);
        let open = if self.to.append {
            LogFile::append
        } else {
            LogFile::create
        };
        open(path, self.to.rotation(self.messages.verbose), reopens).map(Some)
    }
}

/// Converts the arguments to the options of a pipeline that writes to `lines`, of which some may be `lost`. Fails if a redaction
/// rule is invalid, or an export cannot be opened.
pub(super) fn pipeline_options(
    output: &OutputArgs,
    lines: impl Lines + Send + 'static,
    lost: Option<Lost>,
    source: Source,
) -> Result<Options> {
    let id_headers = IdHeaders::new(output.id_headers.clone());
    let redactor = Redactor::new(output.redact.rules()?).with_id_headers(id_headers);
    let filter = Filter::new(output.filter.clone());
    warn_of_secrets(&output.redact);
    let hold_ns = u64::try_from(output.hold.as_nanos()).unwrap_or(u64::MAX);
    Ok(Options {
        decode: http_decode::Settings {
            hold_ns,
            ..http_decode::Settings::default()
        },
        redactor,
        filter,
        policy: output.policy.policy(),
        sink: Fork::open(
            LostLines::of(format(output).open(lines, style(output)), lost),
            beside(output, source)?,
        ),
        limit: output.count,
        connections: output.connections,
        hops: output.hops,
        verbose: output.messages.verbose,
    })
}

/// Opens what gets lines beside the output.
fn beside(output: &OutputArgs, source: Source) -> Result<Vec<Box<dyn Sink + Send>>> {
    let mut beside = exports(output, source)?;
    if let Some(command) = &output.alert_exec {
        beside.push(Box::new(AlertCommand::start(command)?));
    }
    Ok(beside)
}

#[cfg(feature = "export")]
fn exports(output: &OutputArgs, source: Source) -> Result<Vec<Box<dyn Sink + Send>>> {
    Ok(output.export.open(source, say)?)
}

#[cfg(not(feature = "export"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it may fail")]
fn exports(_output: &OutputArgs, _source: Source) -> Result<Vec<Box<dyn Sink + Send>>> {
    Ok(Vec::new())
}

/// Prints that secrets are shown, if they are.
pub(super) fn warn_of_secrets(redact: &RedactArgs) {
    if redact.show_secrets {
        say("secrets are shown: --show-secrets is given");
    }
}

fn format(output: &OutputArgs) -> Format {
    let default = if is_terminal(output) {
        Format::Text
    } else {
        Format::Json
    };
    output.format.unwrap_or(default)
}

/// Returns the style of the output. That of formats for programs needs no look at the machine.
fn style(output: &OutputArgs) -> Style {
    match format(output) {
        Format::Text | Format::Line | Format::Combined => output.style.style(is_terminal(output)),
        Format::Json | Format::Har | Format::Ecs | Format::None => Style::default(),
    }
}

fn is_terminal(output: &OutputArgs) -> bool {
    output.to.file.is_none() && stdout().is_terminal()
}

/// Opens a file, or stdout, for a command that may block on it.
pub(super) fn blocking_lines(file: Option<&Path>) -> Result<(BlockingLines, Option<Lost>)> {
    let log = file
        .map(|path| LogFile::create(path, Rotation::default(), true))
        .transpose()?;
    Ok(BlockingLines::open(log))
}
