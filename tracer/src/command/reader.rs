//! From the flags that say what is shown to a pipeline's options.

use std::{
    fs::OpenOptions,
    io::{IsTerminal as _, Write, stdout},
    os::unix::fs::OpenOptionsExt as _,
};

use anyhow::{Context as _, Result};

use super::{arguments::ShowArgs, say};
use crate::{filter::Filter, output::Format, pipeline::Options, redact::Redactor};

/// Opens the output and checks every rule, before anything is attached or printed.
pub(super) fn options(show: &ShowArgs) -> Result<Options> {
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
        sink: format(show).open(writer(show)?),
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

fn writer(show: &ShowArgs) -> Result<Box<dyn Write + Send>> {
    let Some(path) = &show.file else {
        return Ok(Box::new(stdout()));
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    Ok(Box::new(
        file.with_context(|| format!("{} cannot be written", path.display()))?,
    ))
}
