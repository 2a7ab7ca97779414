//! `tlscope record`: attaches to processes and writes their raw records to a tape.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

use anyhow::{Context as _, Result};
use tracer_ebpf::SettingFlags;
use tracer_observe::{
    batch::{Batch, Totals},
    pipeline::{Flow, Summary},
    tape::{self, Writer},
};

use super::live_arguments::RecordArgs;
use crate::{consumer::Consumer, engine, messages::say, outcome::Outcome};

pub(super) fn run(arguments: &RecordArgs) -> Result<Outcome> {
    let path = &arguments.tape;
    arguments.quiet.apply();
    let kernel = engine::check()?;
    let file = tape::create(path).with_context(|| path.display().to_string())?;
    let outcome = engine::run(
        &kernel,
        arguments.live.request(SettingFlags::CONNECTIONS),
        None,
        |header| {
            say(&format!(
                "{} will hold plaintext, secrets included; it is readable by its owner alone",
                path.display()
            ));
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
struct TapeConsumer(Option<Writer<BufWriter<File>>>);

impl Consumer for TapeConsumer {
    fn batch(&mut self, batch: Batch) -> Result<Flow> {
        if let Self(Some(writer)) = self {
            writer.batch(&batch)?;
        }
        Ok(Flow::Continue)
    }

    fn conclude(&mut self, totals: Totals) -> Result<()> {
        let writer = self.0.take();
        Ok(writer.map_or(Ok(()), |writer| writer.finish(totals))?)
    }

    fn summary(&self) -> Option<Summary> {
        None
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
