//! `tlscope replay`: prints the exchanges of a tape. Needs no root.

use anyhow::{Context as _, Result};
use tracer_observe::{
    pipeline::{Flow, Pipeline},
    tape::{self, Reader},
};

use super::{
    arguments::ReplayArgs,
    output_arguments::{blocking_writer, pipeline_options},
};
use crate::{
    consumer::Consumer as _, messages::say, outcome::Outcome, pipeline_consumer::PipelineConsumer, totals::say_totals,
};

/// Prints the exchanges of a tape; of a truncated tape, those before the cut, and fails.
pub(super) fn run(arguments: &ReplayArgs) -> Result<Outcome> {
    let name = arguments.tape.display();
    let mut tape = Reader::open(&arguments.tape).with_context(|| name.to_string())?;
    let options = pipeline_options(&arguments.output, blocking_writer(&arguments.output)?)?;
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
    Ok(outcome(end, &arguments.tape))
}

fn outcome(end: Result<(), tape::Error>, tape: &std::path::Path) -> Outcome {
    match end {
        Ok(()) => Outcome::Done,
        Err(error) => {
            say(&format!("{}: {error}", tape.display()));
            Outcome::Failed
        }
    }
}
