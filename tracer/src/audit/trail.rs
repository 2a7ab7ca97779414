//! The audit of a trace that has begun.

use std::time::{Instant, SystemTime};

use anyhow::{Result, bail};
use tracer_observe::{
    audit::{AuditEnd, Ended, Event},
    batch::Totals,
    output::JsonLines,
    redact::{Line, Redacted},
};

use super::destination::{Destination, Required};
use crate::messages::complain;

/// The audit of a trace that has begun.
pub(crate) struct Trail {
    /// The line of the start, or of one that failed.
    pub(super) line: Redacted<Line<'static>>,
    pub(super) destinations: Vec<Destination>,
    pub(super) to_output: bool,
    pub(super) json: JsonLines,
}

/// How a trace ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// Why.
    pub(crate) ended: Ended,
    /// When it began.
    pub(crate) began: Instant,
    /// Exchanges that were printed; `None` if none are decoded.
    pub(crate) exchanges: Option<u64>,
    /// What was lost in the kernel; `None` if unknown.
    pub(crate) lost: Option<Totals>,
    /// Processes that were traced, all together; `None` if unknown.
    pub(crate) processes: Option<u64>,
}

impl Ending {
    /// Returns the line of the end of the trace that another line is the start of.
    pub(crate) fn line(&self, start: &Redacted<Line<'static>>) -> Option<Redacted<Line<'static>>> {
        let Self {
            ended,
            began,
            exchanges,
            lost,
            processes,
        } = *self;
        start.ended(&AuditEnd {
            time: SystemTime::now(),
            event: if ended == Ended::Reload {
                Event::Reload
            } else {
                Event::End
            },
            ended,
            duration_us: began.elapsed().as_micros().try_into().unwrap_or(u64::MAX),
            exchanges,
            lost,
            processes,
        })
    }
}

impl Trail {
    /// Returns the line of the start, if the output is to have it.
    pub(crate) fn for_output(&self) -> Option<Redacted<Line<'static>>> {
        self.to_output.then(|| self.line.clone())
    }

    /// Writes its line, of a start or of one that failed.
    pub(super) fn write_line(&mut self) -> Result<()> {
        let line = self.line.clone();
        self.write(&line)
    }

    /// Writes the line of the end. Returns the outcome of the trace, which is a failure if a destination that is asked for cannot
    /// be written.
    pub(crate) fn end<T>(mut self, ending: &Ending, outcome: Result<T>) -> Result<T> {
        let written = ending.line(&self.line).map_or(Ok(()), |line| self.write(&line));
        match (outcome, written) {
            (Ok(_), Err(unaudited)) => Err(unaudited),
            (Err(error), Err(unaudited)) => {
                complain(&format!("{unaudited:#}"));
                Err(error)
            }
            (outcome, Ok(())) => outcome,
        }
    }

    /// Writes a line to all destinations. Fails if one that is asked for cannot be written.
    fn write(&mut self, line: &Redacted<Line<'static>>) -> Result<()> {
        let json = self.json.format(line)?.trim_ascii_end();
        let mut failed = Vec::new();
        for destination in &self.destinations {
            let Err(error) = destination.write(line, json) else {
                continue;
            };
            let message = format!("audit: {destination} cannot be written: {error:#}");
            match destination.required {
                Required::Yes => failed.push(message),
                Required::No => complain(&message),
            }
        }
        if !failed.is_empty() {
            bail!("{}", failed.join("; "));
        }
        Ok(())
    }
}
