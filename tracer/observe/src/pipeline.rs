//! The pipeline from batches of records to lines in a sink.
//!
//! It is the only code that runs between a source and a sink, live and in replay, and it reads no clock: the same tape gives
//! the same lines, byte for byte.

use crate::{
    batch::{Batch, Header},
    correlate::{Correlator, Counters, Observed, ObservedKind},
    filter::Filter,
    health::{Figures, Health, State, Subject, Watch},
    order::Merger,
    output::{self, Sink, Written},
    redact::Redactor,
};

/// Decodes, redacts, filters and writes batches of records.
pub struct Pipeline {
    merger: Merger,
    correlator: Correlator,
    redactor: Redactor,
    filter: Filter,
    sink: Box<dyn Sink + Send>,
    observed: Vec<Observed>,
    last_ns: u64,
    limit: Option<u64>,
    summary: Summary,
    watch: Watch,
    /// Lines dropped since the last update of `watch`.
    dropped: u64,
    /// Whether the note that lines are dropped was returned.
    stall_noted: bool,
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
    /// Counters of what could not be used.
    pub counters: Counters,
    /// Ends of printed exchanges that were not printed because too many exchanges were open at once.
    pub forgotten_ends: u64,
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
    /// Writes lines.
    pub sink: Box<dyn Sink + Send>,
    /// Maximum number of exchanges to print.
    pub limit: Option<u64>,
    /// Whether a line is printed for each connection.
    pub connections: bool,
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
            sink,
            limit,
            connections,
            verbose,
        } = options;
        Self {
            merger: Merger::default(),
            correlator: Correlator::new(header, decode, connections),
            redactor,
            filter,
            sink,
            observed: Vec::new(),
            last_ns: 0,
            limit,
            summary: Summary {
                verbose,
                ..Summary::default()
            },
            watch: Watch::default(),
            dropped: 0,
            stall_noted: false,
        }
    }

    /// Processes a batch and writes the lines that it completes.
    pub fn batch(&mut self, mut batch: Batch) -> Result<Flow, output::Error> {
        self.last_ns = self.last_ns.max(batch.drained_ns);
        self.correlator.add_sites(&batch.sites);
        let health = std::mem::take(&mut batch.health);
        if let Some(boot_unix_ns) = batch.boot_unix_ns {
            self.correlator.set_clock(batch.drained_ns, boot_unix_ns);
        }
        self.merger.add(batch);
        let Self {
            merger,
            correlator,
            observed,
            ..
        } = self;
        merger.release(|record| correlator.push(record, observed));
        correlator.advance(merger.watermark_ns(), observed);
        let flow = self.write()?;
        for (subject, figures) in health {
            if let Some((state, figures)) = self.watch.update(&subject, figures, self.last_ns) {
                self.write_health(subject, state, figures)?;
            }
        }
        Ok(flow)
    }

    /// Removes and returns the notes to print on stderr now.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = self.correlator.take_notes();
        if self.summary.dropped > 0 && !std::mem::replace(&mut self.stall_noted, true) {
            notes.push("whoever reads the output has stalled: lines are dropped, and counted".to_owned());
        }
        notes
    }

    /// Writes everything that is in progress as it is, at the end of the run.
    pub fn conclude(&mut self) -> Result<(), output::Error> {
        let Self {
            merger,
            correlator,
            observed,
            last_ns,
            ..
        } = self;
        merger.release_all(|record| correlator.push(record, observed));
        correlator.finish(*last_ns, observed);
        ignore_broken_pipe(self.write().and_then(|_| self.write_last_health()))
    }

    /// Reports the lines dropped since the last health line.
    fn write_last_health(&mut self) -> Result<(), output::Error> {
        match self.watch.remove(&Subject::Output) {
            Some((state, figures)) => self.write_health(Subject::Output, state, figures),
            None => Ok(()),
        }
    }

    /// Ends the output, and waits until all of it is written.
    pub fn close(self) -> Result<(), output::Error> {
        ignore_broken_pipe(self.sink.finish())
    }

    /// Returns the totals so far.
    pub fn summary(&self) -> Summary {
        let counters = Counters {
            late_records: self.merger.late(),
            ..self.correlator.counters()
        };
        Summary {
            counters,
            forgotten_ends: self.filter.forgotten(),
            enough: self.enough(),
            ..self.summary
        }
    }

    fn enough(&self) -> Flow {
        let reached = self.limit.is_some_and(|limit| self.summary.exchanges >= limit);
        if reached { Flow::Done } else { Flow::Continue }
    }

    fn write(&mut self) -> Result<Flow, output::Error> {
        for observed in std::mem::take(&mut self.observed) {
            // The lines of connections follow those of the last exchange within the limit.
            if self.enough() == Flow::Continue || matches!(observed.kind, ObservedKind::Connection(_)) {
                self.write_one(&observed)?;
            }
        }
        self.report_dropped()?;
        self.sink.flush()?;
        Ok(self.enough())
    }

    fn write_one(&mut self, observed: &Observed) -> Result<(), output::Error> {
        let line = self.redactor.redact(observed);
        if !self.filter.passes(&line) {
            return Ok(());
        }
        self.report_dropped()?;
        if self.sink.write(&line)? == Written::Dropped {
            self.dropped += 1;
            self.summary.dropped += 1;
            return Ok(());
        }
        if let ObservedKind::Exchange(exchange) = &observed.kind {
            self.summary.exchanges += 1;
            self.summary.half += u64::from(exchange.request.is_none() || exchange.response.is_none());
        }
        Ok(())
    }

    /// Reports how many lines were dropped. If that line is dropped too, the count goes into the next report.
    fn report_dropped(&mut self) -> Result<(), output::Error> {
        let figures = Figures {
            dropped: std::mem::take(&mut self.dropped),
            ..Figures::default()
        };
        match self.watch.update(&Subject::Output, figures, self.last_ns) {
            Some((state, figures)) => self.write_health(Subject::Output, state, figures),
            None => Ok(()),
        }
    }

    fn write_health(&mut self, subject: Subject, state: State, figures: Figures) -> Result<(), output::Error> {
        let health = Health {
            time: self.correlator.time(self.last_ns),
            subject,
            state,
            figures,
        };
        if self.sink.write(&self.redactor.health(&health))? == Written::Dropped {
            self.watch.restore(&health.subject, figures);
        }
        Ok(())
    }
}

/// Treats a reader that closed the output as the end of the run, not as a failure.
fn ignore_broken_pipe(result: Result<(), output::Error>) -> Result<(), output::Error> {
    match result {
        Err(output::Error::BrokenPipe) => Ok(()),
        Ok(()) | Err(output::Error::Write(_)) => result,
    }
}
