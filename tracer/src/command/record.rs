//! `tlscope record`: attaches to processes and writes their raw records to a tape.

use std::{fs, path::Path};

use anyhow::{Context as _, Error, Result};
use tracer_ebpf::SettingFlags;
use tracer_observe::{
    batch::{Batch, Totals},
    pipeline::{Flow, Summary},
    tape::{self, Writer},
};

use super::live_arguments::RecordArgs;
use crate::{
    audit::Auditor,
    consumer::Consumer,
    encryption::{Recipients, TapeFile},
    engine,
    messages::say,
    outcome::Outcome,
};

pub(super) fn run(arguments: &RecordArgs) -> Result<Outcome> {
    arguments.quiet.apply();
    let audit = arguments.live.audit.open("record", None)?;
    audit.attempt(|audit| record(arguments, audit))
}

fn record(arguments: &RecordArgs, audit: &Auditor) -> Result<Outcome> {
    let path = &arguments.tape;
    let recipients = arguments.encrypt.recipients().map_err(Error::msg)?;
    let kernel = engine::check()?;
    let file = tape::create(path).with_context(|| path.display().to_string())?;
    let outcome = engine::run(
        &kernel,
        arguments.live.request(SettingFlags::CONNECTIONS, audit),
        None,
        |header| {
            let whose = match recipients.as_ref().map(Recipients::count) {
                None => "it is readable by its owner alone".to_owned(),
                Some(1) => "encrypted to 1 key".to_owned(),
                Some(count) => format!("encrypted to any of {count} keys"),
            };
            say(&format!(
                "{} will hold plaintext, secrets included; {whose}",
                path.display()
            ));
            let file = TapeFile::begin(file, recipients.as_ref())?;
            Ok(Box::new(TapeConsumer(Some(Writer::new(file, header)?))))
        },
    );
    if outcome.is_err() {
        remove_if_empty(path);
    }
    outcome
}

/// Removes the tape if attaching failed before its header was written.
fn remove_if_empty(path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        drop(fs::remove_file(path));
    }
}

/// The consumer that writes a tape; `None` once it is concluded.
struct TapeConsumer(Option<Writer<TapeFile>>);

impl Consumer for TapeConsumer {
    fn batch(&mut self, batch: Batch) -> Result<Flow> {
        if let Self(Some(writer)) = self {
            writer.batch(&batch)?;
        }
        Ok(Flow::Continue)
    }

    fn conclude(&mut self, totals: Totals) -> Result<()> {
        match self.0.take() {
            Some(writer) => Ok(writer.finish(totals)?.finish()?),
            None => Ok(()),
        }
    }

    fn summary(&self) -> Option<Summary> {
        None
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
