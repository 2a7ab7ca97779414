//! `tlscope replay`: a tape through everything above the kernel.

use anyhow::{Context as _, Result};

use super::{Outcome, arguments::ReplayArgs, reader, say, stream::Stream, totals::say_totals, work::Consumer as _};
use crate::{
    pipeline::{Flow, Pipeline},
    source::{Reader, TapeError},
};

/// Streams the exchanges of a tape; of a tape that is cut short, those before the cut.
pub(super) fn run(arguments: &ReplayArgs) -> Result<Outcome> {
    let name = arguments.tape.display();
    let mut tape = Reader::open(&arguments.tape).with_context(|| name.to_string())?;
    let options = reader::options(&arguments.show, reader::writer(&arguments.show)?)?;
    let pipeline = Pipeline::new(tape.header(), options);
    let mut stream = Box::new(Stream { pipeline, lines: None });
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

fn outcome(end: Result<(), TapeError>, tape: &std::path::Path) -> Outcome {
    match end {
        Ok(()) => Outcome::Done,
        Err(error) => {
            say(&format!("{}: {error}", tape.display()));
            Outcome::Failed
        }
    }
}
