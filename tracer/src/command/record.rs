//! `tlscope record`: attach, and write raw records to a tape.

use std::{fs::File, io::BufWriter};

use anyhow::{Context as _, Result};
use tracer_ebpf::SettingFlags;

use super::{Outcome, arguments::RecordArgs, live, say, session::Consumer};
use crate::{
    pipeline::{Flow, Summary},
    source::{Batch, Totals, Writer},
};

/// Records running processes.
pub(super) fn run(arguments: &RecordArgs) -> Result<Outcome> {
    let path = &arguments.tape;
    live::run(&arguments.live, SettingFlags::CONNECTIONS, |header| {
        let writer = Writer::create(path, header).with_context(|| path.display().to_string())?;
        say(&format!(
            "{} will hold plaintext, secrets included; it is readable by its owner alone",
            path.display()
        ));
        Ok(Box::new(Tape(writer)))
    })
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
