//! What is shown, and how: the flags, and a pipeline's options made of them.

use std::{
    io::{BufWriter, IsTerminal as _, Write, stdout},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use tracer_observe::{
    filter::{Filter, FilterArgs},
    output::{Format, Lines},
    pipeline::Options,
    redact::{RedactArgs, Redactor},
};

use crate::{messages::say, private};

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

/// Opens the output and checks every rule, before anything is attached or printed.
pub(super) fn options(show: &ShowArgs, lines: impl Lines + Send + 'static) -> Result<Options> {
    let redactor = Redactor::new(show.redact.rules()?);
    let filter = Filter::new(show.filter.clone());
    if show.redact.show_secrets {
        say("secrets are shown: --show-secrets is given");
    }
    let hold_ns = u64::try_from(show.hold.as_nanos()).unwrap_or(u64::MAX);
    Ok(Options {
        decode: http_decode::Settings {
            hold_ns,
            ..http_decode::Settings::default()
        },
        redactor,
        filter,
        sink: format(show).open(lines),
        limit: show.count,
        connections: show.connections,
        verbose: show.verbose,
    })
}

fn format(show: &ShowArgs) -> Format {
    let usual = if show.file.is_none() && stdout().is_terminal() {
        Format::Text
    } else {
        Format::Json
    };
    show.output.unwrap_or(usual)
}

/// Opens where lines go, and keeps whoever writes waiting.
pub(super) fn writer(show: &ShowArgs) -> Result<BufWriter<Box<dyn Write + Send>>> {
    let writer: Box<dyn Write + Send> = match &show.file {
        Some(path) => Box::new(private::create(path)?),
        None => Box::new(stdout()),
    };
    Ok(BufWriter::new(writer))
}
