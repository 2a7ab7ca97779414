//! From the flags that say what is shown to a pipeline's options.

use std::io::{BufWriter, IsTerminal as _, Write, stdout};

use anyhow::Result;
use tracer_observe::{
    filter::Filter,
    output::{Format, Lines},
    pipeline::Options,
    redact::Redactor,
};

use super::arguments::ShowArgs;
use crate::{messages::say, private};

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
