//! A replay that goes on, so that its exports can be looked at.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    process::Command,
};

use anyhow::Result;
use support::{Trace, Tracer, run};
use tempfile::TempDir;
use tracer_observe::{
    batch::{Batch, Totals},
    tape::{Reader, Writer},
};

/// A `tlscope replay` that has read all of a tape but its end, so that it goes on.
pub(crate) struct Unfinished {
    pub(crate) tracer: Tracer,
    tape: Writer<File>,
    totals: Totals,
    _directory: TempDir,
}

impl Unfinished {
    /// Replays a tape from a pipe. A batch without records follows the last one: once time has passed, nothing waits any more
    /// for what may still come.
    pub(crate) fn start(tape: &Path, args: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("pipe");
        run::succeed(Command::new("mkfifo").arg(&path))?;
        let name = path.display().to_string();
        let tracer = Tracer::start(&[&["replay", &name], args].concat())?;
        let mut reader = Reader::open(tape)?;
        let pipe = OpenOptions::new().write(true).open(&path)?;
        let mut tape = Writer::new(pipe, reader.header())?;
        let mut last_ns = 0;
        while let Some(batch) = reader.next_batch()? {
            last_ns = batch.drained_ns;
            tape.batch(&batch)?;
        }
        tape.batch(&Batch::new(last_ns + LATER_NS))?;
        Ok(Self {
            tracer,
            tape,
            totals: reader.totals().unwrap_or_default(),
            _directory: directory,
        })
    }

    /// Writes the end of the tape, and waits for that of `tlscope`.
    pub(crate) fn finish(self) -> Result<Trace> {
        self.tape.finish(self.totals)?;
        self.tracer.finish()
    }
}

/// Longer than exchanges wait for the addresses of their connections, and shorter than `--hold`.
const LATER_NS: u64 = 150_000_000;
