//! `tlscope replay`: prints the exchanges of a tape. Needs no root.

mod tape_input;

use std::{
    io::{BufReader, Read, stdout},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use clap::Args;
use tracer_observe::{
    audit::Ended,
    batch::Source,
    pipeline::{Flow, Options, Pipeline},
    redact::{Line, Redacted},
    tape::{self, Reader},
};

use self::tape_input::{BUFFER_BYTES, Position, TapeInput};
use super::{
    audit_arguments::AuditArgs,
    output_arguments::{OutputArgs, pipeline_options},
};
use crate::{
    audit::{Auditor, Ending, Trail},
    blocking_lines::BlockingLines,
    consumer::Consumer as _,
    encryption::{IdentityArgs, decrypted},
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
    pub(super) keys: IdentityArgs,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
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

/// A tape to replay.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// Its file; `-` is stdin.
    pub(super) path: &'a Path,
    /// What opens it, if it is encrypted.
    pub(super) keys: &'a IdentityArgs,
}

/// Prints the exchanges of a tape; of a truncated tape, those before the cut, and fails.
pub(super) fn run(arguments: &ReplayArgs) -> Result<Outcome> {
    let ReplayArgs {
        tape,
        keys,
        audit,
        output,
    } = arguments;
    output.messages.quiet.apply();
    let audit = audit.open_of_tape("replay", &output.redact, keys)?;
    let input = Input { path: tape, keys };
    replay(
        input,
        audit.as_ref(),
        output.to.file.as_deref(),
        Printed::Continuously,
        || {
            let (lines, lost) = BlockingLines::open(output.create_file()?);
            pipeline_options(output, lines, lost, Source::Tape)
        },
    )
}

/// Runs a pipeline on a tape, with its audit, if it has one. What is not a tape gets no options, so that no output file is created.
pub(super) fn replay(
    input: Input<'_>,
    audit: Option<&Auditor>,
    file: Option<&Path>,
    printed: Printed,
    options: impl FnOnce() -> Result<Options>,
) -> Result<Outcome> {
    let start = |audit: Option<&Auditor>| {
        let tape = Tape::open(input)?;
        let options = options()?;
        let is_free = printed == Printed::AtTheEnd || file.is_some() || tape_input::is_file(stdout());
        let trail = audit.map(|audit| audit.start(tape.reader.header().processes.clone()));
        run_audited(tape, options, trail.transpose()?, is_free)
    };
    match audit {
        Some(audit) => audit.attempt(|audit| start(Some(audit))),
        None => start(None),
    }
}

/// An open tape.
struct Tape {
    name: String,
    position: Position,
    reader: Reader<BufReader<Box<dyn Read>>>,
}

impl Tape {
    fn open(input: Input<'_>) -> Result<Self> {
        let Input { path, keys } = input;
        let input = TapeInput::open(path)?;
        let name = input.name();
        let position = input.position();
        let read = decrypted(Box::new(input.into_read()), keys).with_context(|| name.clone())?;
        let reader = Reader::new(BufReader::with_capacity(BUFFER_BYTES, read)).with_context(|| name.clone())?;
        Ok(Self { name, position, reader })
    }
}

/// Runs a pipeline on a tape whose audit has begun, if it has one, and ends that.
fn run_audited(tape: Tape, options: Options, trail: Option<Trail>, is_free: bool) -> Result<Outcome> {
    let mut ending = Ending {
        ended: Ended::Error,
        began: Instant::now(),
        exchanges: None,
        lost: None,
        processes: None,
    };
    let start = trail.as_ref().and_then(Trail::for_output);
    let status = format!("replaying {}", tape.name);
    let position = tape.position.clone();
    let progress = is_free.then(|| Progress::start(move |_| format!("{status}: {position}")));
    let outcome = run_tape(tape, options, start.as_ref(), &mut ending, progress);
    match trail {
        Some(trail) => trail.end(&ending, outcome),
        None => outcome,
    }
}

/// Prints the exchanges of a tape. `start` is the audit line of the start, if the output is to have it, and that of the end.
fn run_tape(
    tape: Tape,
    options: Options,
    start: Option<&Redacted<Line<'static>>>,
    ending: &mut Ending,
    progress: Option<Progress>,
) -> Result<Outcome> {
    let Tape { name, mut reader, .. } = tape;
    let mut consumer = Box::new(PipelineConsumer(Pipeline::new(reader.header(), options)));
    if let Some(line) = start {
        consumer.audit(line)?;
    }
    let mut flow = Flow::Continue;
    let end = loop {
        match reader.next_batch() {
            Ok(Some(batch)) => {
                flow = consumer.batch(batch)?;
                if flow == Flow::Done {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(progress);
    let totals = reader.totals().unwrap_or_default();
    consumer.conclude(totals)?;
    let summary = consumer.summary();
    (ending.exchanges, ending.lost) = (summary.map(|summary| summary.exchanges), reader.totals());
    let has_enough = summary.is_some_and(|summary| summary.enough == Flow::Done);
    ending.ended = match (&end, flow) {
        (Err(_), _) => Ended::Error,
        // What is held may be the last of it, and comes at the end.
        (Ok(()), _) if has_enough => Ended::Count,
        (Ok(()), Flow::Done) => Ended::OutputClosed,
        (Ok(()), Flow::Continue) => Ended::TapeEnded,
    };
    if let Some(line) = start.and_then(|line| ending.line(line)) {
        consumer.audit(&line)?;
    }
    consumer.close()?;
    say_totals(summary.as_ref(), totals);
    Ok(outcome(end, &name))
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
