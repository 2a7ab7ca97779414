//! `tlscope replay`: prints the exchanges of a tape. Needs no root.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use tracer_observe::{
    batch::Source,
    pipeline::{Flow, Options, Pipeline},
    tape::{self, Reader},
};

use super::output_arguments::{OutputArgs, blocking_writer, pipeline_options};
use crate::{
    consumer::Consumer as _, messages::say, outcome::Outcome, pipeline_consumer::PipelineConsumer, totals::say_totals,
};

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// The tape
    #[arg(value_name = "FILE")]
    pub(super) tape: PathBuf,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Prints the exchanges of a tape; of a truncated tape, those before the cut, and fails.
pub(super) fn run(arguments: &ReplayArgs) -> Result<Outcome> {
    replay(&arguments.tape, || {
        pipeline_options(&arguments.output, blocking_writer(&arguments.output)?, Source::Tape)
    })
}

/// Runs a pipeline on a tape. What is not a tape gets no options, so that no output file is created.
pub(super) fn replay(path: &Path, options: impl FnOnce() -> Result<Options>) -> Result<Outcome> {
    let tape = open(path)?;
    run_tape(path, tape, options()?)
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>> {
    Reader::open(path).with_context(|| path.display().to_string())
}

fn run_tape(path: &Path, mut tape: Reader<impl Read>, options: Options) -> Result<Outcome> {
    let pipeline = Pipeline::new(tape.header(), options);
    let mut consumer = Box::new(PipelineConsumer(pipeline));
    let end = loop {
        match tape.next_batch() {
            Ok(Some(batch)) => {
                if consumer.batch(batch)? == Flow::Done {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let totals = tape.totals().unwrap_or_default();
    consumer.conclude(totals)?;
    let summary = consumer.summary();
    consumer.close()?;
    say_totals(summary.as_ref(), totals);
    Ok(outcome(end, path))
}

fn outcome(end: Result<(), tape::Error>, tape: &Path) -> Outcome {
    match end {
        Ok(()) => Outcome::Done,
        Err(error) => {
            say(&format!("{}: {error}", tape.display()));
            Outcome::Failed
        }
    }
}
