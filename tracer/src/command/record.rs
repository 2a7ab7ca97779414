//! `tlscope record`: attach, and write raw records to a tape.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

use anyhow::{Context as _, Result};
use tracer_ebpf::SettingFlags;

use super::{Outcome, arguments::RecordArgs, live, say, session::Consumer};
use crate::{
    pipeline::{Flow, Summary},
    source::{Batch, Totals, Writer, create_tape},
};

/// Records running processes.
pub(super) fn run(arguments: &RecordArgs) -> Result<Outcome> {
    let path = &arguments.tape;
    let kernel = live::check()?;
    let file = create_tape(path).with_context(|| path.display().to_string())?;
    let outcome = live::run(&kernel, &arguments.live, SettingFlags::CONNECTIONS, |header| {
        say(&format!(
            "{} will hold plaintext, secrets included; it is readable by its owner alone",
            path.display()
        ));
        Ok(Box::new(Tape(Writer::new(file, header)?)))
    });
    if outcome.is_err() {
        remove_if_empty(path);
    }
    outcome
}

/// Leaves no empty file behind when nothing could be attached; the error that is reported is that one.
fn remove_if_empty(path: &Path) {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0) {
        drop(fs::remove_file(path));
    }
}

/// Writes batches as they are.
struct Tape(Writer<BufWriter<File>>);

impl Consumer for Tape {
    fn batch(&mut self, batch: Batch) -> Result<Flow> {
        self.0.batch(&batch)?;
        Ok(Flow::Continue)
    }

    fn finish(self: Box<Self>, totals: Totals) -> Result<Option<Summary>> {
        self.0.finish(totals)?;
        Ok(None)
    }
}
