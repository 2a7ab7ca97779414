//! The pipeline from batches of records to lines in a sink.
//!
//! It is the only code that runs between a source and a sink, live and in replay, and it reads no clock: the same tape gives
//! the same lines, byte for byte.

mod line_writer;

use self::line_writer::{LineWriter, Now};
use crate::{
    batch::{Batch, Header},
    correlate::{Correlator, Counters, Observed},
    event,
    filter::Filter,
    join::{Joined, Joiner},
    order::Merger,
    output::{self, Sink},
    policy::Policy,
    redact::{Line, Redacted, Redactor},
    skip::Skip,
};

/// Decodes, redacts, filters and writes batches of records.
pub struct Pipeline {
    merger: Merger,
    correlator: Correlator,
    observed: Vec<Observed>,
    joining: Option<Joining>,
    lines: LineWriter,
    last_ns: u64,
    /// When active requests were counted last.
    counted_ns: u64,
    /// [`Options::verbose`].
    verbose: bool,
    /// Whether the note that lines are dropped was returned.
    stall_noted: bool,
}

/// Joins what is observed, with [`Options::hops`].
struct Joining {
    joiner: Joiner,
    joined: Vec<Joined>,
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Exchanges printed.
    pub exchanges: u64,
    /// Exchanges printed without their request or without their response.
    pub half: u64,
    /// Lines dropped because the reader of the output stalled.
    pub dropped: u64,
    /// Lines that were dropped because there was no room for them, as far as that is over.
    pub unwritten: u64,
    /// Lines that exports dropped.
    pub unexported: u64,
    /// Counters of what could not be used.
    pub counters: Counters,
    /// Ends of printed exchanges that were not printed because too many exchanges were open at once.
    pub forgotten_ends: u64,
    /// Exchanges that matched the filters and that sampling left out; `None` without sampling.
    pub sampled_out: Option<u64>,
    /// Exchanges that matched the filters and that the limit on their rate left out; `None` without a limit.
    pub rate_limited: Option<u64>,
    /// Alerts of the policy; `None` without one.
    pub alerts: Option<u64>,
    /// [`Options::verbose`].
    pub verbose: bool,
    /// [`Flow::Done`] if [`Options::limit`] is reached.
    pub enough: Flow,
}

/// Whether the pipeline accepts more batches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Flow {
    /// It does.
    #[default]
    Continue,
    /// It does not: the limit of exchanges is reached, or the output is closed.
    Done,
}

/// Settings of a pipeline.
pub struct Options {
    /// Settings of the decoder.
    pub decode: http_decode::Settings,
    /// Masks secrets.
    pub redactor: Redactor,
    /// Selects lines.
    pub filter: Filter,
    /// Judges exchanges, if there are rules.
    pub policy: Option<Policy>,
    /// Writes lines.
    pub sink: Box<dyn Sink + Send>,
    /// Maximum number of exchanges to print.
    pub limit: Option<u64>,
    /// Whether a line is printed for each connection.
    pub connections: bool,
    /// Whether exchanges are joined to hops.
    pub hops: bool,
    /// Whether the totals include the counters of the decoders.
    pub verbose: bool,
}

impl Pipeline {
    /// Creates a pipeline for a source with this header.
    pub fn new(header: &Header, options: Options) -> Self {
        let Options {
            decode,
            redactor,
            filter,
            policy,
            sink,
            limit,
            connections,
            hops,
            verbose,
        } = options;
        // A hop has both sides if one passes the filter, and a policy judges every exchange.
        let interest = filter.interest().filter(|_| !hops && policy.is_none());
        let mut correlator = Correlator::new(header, decode, connections).with_interest(interest);
        let joining = hops.then(|| {
            correlator.keep_moments();
            Joining {
                joiner: Joiner::new(redactor.id_headers().clone(), decode.hold_ns),
                joined: Vec::new(),
            }
        });
        Self {
            merger: Merger::default(),
            correlator,
            observed: Vec::new(),
            joining,
            lines: LineWriter::new(redactor, filter, policy, sink, limit),
            last_ns: 0,
            counted_ns: 0,
            verbose,
            stall_noted: false,
        }
    }

    /// Processes a batch and writes the lines that it completes.
    pub fn batch(&mut self, mut batch: Batch) -> Result<Flow, output::Error> {
        self.correlator.clear_skips();
        self.last_ns = self.last_ns.max(batch.drained_ns);
        self.correlator.add_sites(&batch.sites);
        let health = std::mem::take(&mut batch.health);
        if let Some(boot_unix_ns) = batch.boot_unix_ns {
            self.correlator.set_clock(batch.drained_ns, boot_unix_ns);
        }
        self.merger.add(batch);
        let now = self.now();
        self.release(now)?;
        self.report_refusals()?;
        self.lines.report_dropped(now)?;
        self.lines.report_rate_limited(now)?;
        self.lines.report_forgotten(now)?;
        for (subject, figures) in health {
            self.lines.update_health(subject, figures, now)?;
        }
        self.lines.note_records(self.correlator.function_records());
        self.count_active();
        self.lines.flush(now)?;
        Ok(self.lines.flow())
    }

    /// Counts the requests that are active, if somebody wants to know and it is time again: it visits every connection.
    fn count_active(&mut self) {
        if self.lines.wants_active() && self.last_ns >= self.counted_ns.saturating_add(COUNT_INTERVAL_NS) {
            self.counted_ns = self.last_ns;
            self.lines.note_active(&self.correlator.active_requests());
        }
    }

    /// Decodes the records up to the watermark. What a record completes is written before the next one is decoded, while it
    /// is in the caches of the processor.
    fn release(&mut self, now: Now) -> Result<(), output::Error> {
        let Self {
            merger,
            correlator,
            observed,
            joining,
            lines,
            ..
        } = self;
        let mut result = Ok(());
        merger.release(|record| {
            correlator.push(record, observed);
            let at_ns = event::timestamp(record);
            if let (Ok(()), Some(joining)) = (&result, &mut *joining) {
                joining.push(correlator, observed);
                result = lines.write_joined(&mut joining.joined, at_ns, now);
            } else if result.is_ok() {
                result = lines.write(observed, at_ns, now);
            } else {
                observed.clear();
            }
        });
        result?;
        correlator.advance(merger.watermark_ns(), observed);
        let at_ns = merger.watermark_ns();
        match joining {
            Some(joining) => {
                joining.push(correlator, observed);
                joining.joiner.advance(at_ns, &mut joining.joined);
                lines.write_joined(&mut joining.joined, at_ns, now)
            }
            None => lines.write(observed, at_ns, now),
        }
    }

    fn report_refusals(&mut self) -> Result<(), output::Error> {
        let refusals = self.correlator.take_refusals();
        refusals
            .iter()
            .try_for_each(|refused| self.lines.write_refused(refused))
    }

    /// Returns which bytes need not be captured, as the last batch has shown.
    pub fn skips(&self) -> &[Skip] {
        self.correlator.skips()
    }

    /// Removes and returns the notes to print on stderr now.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = self.correlator.take_notes();
        if self.lines.summary().dropped > 0 && !std::mem::replace(&mut self.stall_noted, true) {
            notes.push("whoever reads the output has stalled: lines are dropped, and counted".to_owned());
        }
        notes
    }

    /// Writes everything that is in progress as it is, at the end of the run.
    pub fn conclude(&mut self) -> Result<(), output::Error> {
        let now = self.now();
        let Self {
            merger,
            correlator,
            observed,
            joining,
            lines,
            last_ns,
            ..
        } = self;
        let mut result = Ok(());
        merger.release_all(|record| {
            correlator.push(record, observed);
            let at_ns = event::timestamp(record);
            if let Some(joining) = joining {
                joining.push(correlator, observed);
                if result.is_ok() {
                    result = lines.write_joined(&mut joining.joined, at_ns, now);
                }
            } else if result.is_ok() {
                result = lines.write(observed, at_ns, now);
            }
        });
        correlator.finish(*last_ns, observed);
        if let Some(joining) = joining {
            joining.push(correlator, observed);
            joining.joiner.finish(&mut joining.joined);
        }
        ignore_broken_pipe(result.and_then(|()| self.write_last()))
    }

    fn write_last(&mut self) -> Result<(), output::Error> {
        let now = self.now();
        if let Some(joining) = &mut self.joining {
            self.lines.write_joined(&mut joining.joined, now.ns, now)?;
        }
        self.lines.write(&mut self.observed, now.ns, now)?;
        self.report_refusals()?;
        self.lines.report_dropped(now)?;
        self.lines.report_rate_limited(now)?;
        self.lines.report_forgotten(now)?;
        self.lines.report_unexported(now)?;
        self.lines.write_last_health(now)?;
        self.lines.note_records(self.correlator.function_records());
        self.lines.flush(now)
    }

    /// Ends the output, and waits until all of it is written.
    pub fn close(self) -> Result<(), output::Error> {
        ignore_broken_pipe(self.lines.finish())
    }

    /// Writes an audit line as it is: no filter, sample or limit leaves it out.
    pub fn audit(&mut self, line: &Redacted<Line<'_>>) -> Result<(), output::Error> {
        let now = self.now();
        ignore_broken_pipe(self.lines.write_audit(line, now))
    }

    /// Returns the totals so far.
    pub fn summary(&self) -> Summary {
        let counters = Counters {
            late_records: self.merger.late(),
            joined_early: self.joining.as_ref().map_or(0, |joining| joining.joiner.forced()),
            ..self.correlator.counters()
        };
        Summary {
            counters,
            verbose: self.verbose,
            ..self.lines.summary()
        }
    }

    fn now(&self) -> Now {
        Now {
            ns: self.last_ns,
            time: self.correlator.time(self.last_ns),
        }
    }
}

impl Joining {
    /// Joins what a record completed.
    fn push(&mut self, correlator: &mut Correlator, observed: &mut Vec<Observed>) {
        let now_ns = correlator.now_ns();
        for moment in correlator.take_moments() {
            self.joiner.note(&moment, now_ns, &mut self.joined);
        }
        for observed in observed.drain(..) {
            self.joiner.push(observed, now_ns, &mut self.joined);
        }
    }
}

/// Time between two counts of active requests.
const COUNT_INTERVAL_NS: u64 = 1_000_000_000;

/// Treats a reader that closed the output as the end of the run, not as a failure.
fn ignore_broken_pipe(result: Result<(), output::Error>) -> Result<(), output::Error> {
    match result {
        Err(output::Error::BrokenPipe) => Ok(()),
        Ok(()) | Err(output::Error::Write(_)) => result,
    }
}

#[cfg(test)]
mod tests;
