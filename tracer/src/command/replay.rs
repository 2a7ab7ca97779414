//! `tlscope replay`: a tape through everything above the kernel.

use anyhow::{Context as _, Result};
use tracer_observe::{
    pipeline::{Flow, Pipeline},
    tape::{self, Reader},
};

use super::{arguments::ReplayArgs, show};
use crate::{consumer::Consumer as _, messages::say, outcome::Outcome, stream::Stream, totals::say_totals};

/// Streams the exchanges of a tape; of a tape that is cut short, those before the cut.
pub(super) fn run(arguments: &ReplayArgs) -> Result<Outcome> {
    let name = arguments.tape.display();
    let mut tape = Reader::open(&arguments.tape).with_context(|| name.to_string())?;
    let options = show::options(&arguments.show, show::writer(&arguments.show)?)?;
    let pipeline = Pipeline::new(tape.header(), options);
    let mut stream = Box::new(Stream(pipeline));
    let end = loop {
        match tape.next_batch() {
            Ok(Some(batch)) => {
                if stream.batch(batch)? == Flow::Done {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let totals = tape.totals().unwrap_or_default();
    stream.conclude(totals)?;
    let summary = stream.summary();
    stream.close()?;
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
