//! `tlscope replay`: prints the exchanges of a tape. Needs no root.

mod tape_input;

use std::{
    io::{Read, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use tracer_observe::{
    batch::Source,
    pipeline::{Flow, Options, Pipeline},
    tape::{self, Reader},
};

use self::tape_input::TapeInput;
use super::output_arguments::{OutputArgs, pipeline_options};
use crate::{
    blocking_lines::BlockingLines,
    consumer::Consumer as _,
    messages::{Progress, complain},
    outcome::Outcome,
    pipeline_consumer::PipelineConsumer,
    totals::say_totals,
};

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// The tape; `-` is stdin
    #[arg(value_name = "FILE")]
    pub(super) tape: PathBuf,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// When the output appears, which a line with the progress must not disturb.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Printed {
    /// All the time.
    Continuously,
    /// When the tape has ended.
    AtTheEnd,
}

/// Prints the exchanges of a tape; of a truncated tape, those before the cut, and fails.
pub(super) fn run(arguments: &ReplayArgs) -> Result<Outcome> {
    let output = &arguments.output;
    output.messages.quiet.apply();
    replay(
        &arguments.tape,
        output.to.file.as_deref(),
        Printed::Continuously,
        || {
            let (lines, lost) = BlockingLines::open(output.create_file()?);
            pipeline_options(output, lines, lost, Source::Tape)
        },
    )
}

/// Runs a pipeline on a tape. What is not a tape gets no options, so that no output file is created.
pub(super) fn replay(
    path: &Path,
    file: Option<&Path>,
    printed: Printed,
    options: impl FnOnce() -> Result<Options>,
) -> Result<Outcome> {
    let input = TapeInput::open(path)?;
    let name = input.name();
    let position = input.position();
    let tape = Reader::new(input.into_read()).with_context(|| name.clone())?;
    let options = options()?;
    let is_free = printed == Printed::AtTheEnd || file.is_some() || tape_input::is_file(stdout());
    let status = format!("replaying {name}");
    let progress = is_free.then(|| Progress::start(move |_| format!("{status}: {position}")));
    run_tape(&name, tape, options, progress)
}

fn run_tape(name: &str, mut tape: Reader<impl Read>, options: Options, progress: Option<Progress>) -> Result<Outcome> {
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
    drop(progress);
    let totals = tape.totals().unwrap_or_default();
    consumer.conclude(totals)?;
    let summary = consumer.summary();
    consumer.close()?;
    say_totals(summary.as_ref(), totals);
    Ok(outcome(end, name))
}

fn outcome(end: Result<(), tape::Error>, name: &str) -> Outcome {
    match end {
        Ok(()) => Outcome::Done,
        Err(error) => {
            complain(&format!("{name}: {error}"));
            Outcome::Failed
        }
    }
}
