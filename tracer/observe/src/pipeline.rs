//! Everything above the kernel in one function: batches in, lines out.
//!
//! In: [`Batch`]es, from rings or from a tape. Out: redacted lines in a sink, and a [`Summary`]. Refuses nothing, reads
//! no clock and does no other I/O: the same tape gives the same lines, byte for byte.

use crate::{
    batch::{Batch, Header},
    correlate::{Correlator, Counters, Happening, Observed},
    filter::Filter,
    health::{Figures, Health, State, Subject, Watch},
    order::Merger,
    output::{self, Sink, Written},
    redact::Redactor,
};

/// Decodes, redacts, filters and writes.
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
    /// Lines that were dropped and of which nothing was said yet.
    dropped: u64,
    /// Whether it was said that lines are dropped.
    told_stalled: bool,
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Exchanges printed.
    pub exchanges: u64,
    /// Of these, the ones of which only one half was seen.
    pub half: u64,
    /// Lines that were dropped, because their reader had stalled.
    pub dropped: u64,
    /// What could not be used.
    pub counters: Counters,
    /// Ends of printed exchanges that were not printed, because too many were open at once.
    pub forgotten_ends: u64,
    /// Whether the user wants to know what the decoders counted.
    pub verbose: bool,
    /// Whether that is all that was asked for.
    pub enough: Flow,
}

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Flow {
    /// Go on.
    #[default]
    Continue,
    /// As many exchanges as were asked for are printed, or nobody reads any more.
    Done,
}

/// What the user wants to see, and how.
pub struct Options {
    /// How exchanges are decoded and held.
    pub decode: http_decode::Settings,
    /// What is masked.
    pub redactor: Redactor,
    /// What is left out.
    pub filter: Filter,
    /// Where it goes.
    pub sink: Box<dyn Sink + Send>,
    /// How many exchanges are printed before it is enough.
    pub limit: Option<u64>,
    /// Whether connections are told as a whole, too.
    pub connections: bool,
    /// Whether the user wants to know what the decoders counted.
    pub verbose: bool,
}

impl Pipeline {
    /// Begins with what a tape's header, or the loader, says.
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
            told_stalled: false,
        }
    }

    /// Takes a batch and writes what it completes.
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
        merger.release(|item| correlator.take(item, observed));
        correlator.advance(merger.watermark_ns(), observed);
        let flow = self.write()?;
        for (subject, figures) in health {
            if let Some((state, figures)) = self.watch.note(&subject, figures, self.last_ns) {
                self.write_health(subject, state, figures)?;
            }
        }
        Ok(flow)
    }

    /// Takes what the user should be told at once.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = self.correlator.take_notes();
        if self.summary.dropped > 0 && !std::mem::replace(&mut self.told_stalled, true) {
            notes.push("whoever reads the output has stalled: lines are dropped, and counted".to_owned());
        }
        notes
    }

    /// Writes what is still going on, as it stands; nothing more will come.
    pub fn conclude(&mut self) -> Result<(), output::Error> {
        let Self {
            merger,
            correlator,
            observed,
            last_ns,
            ..
        } = self;
        merger.release_all(|item| correlator.take(item, observed));
        correlator.finish(*last_ns, observed);
        quiet(self.write().and_then(|_| self.write_rest()))
    }

    /// Says what was dropped since it was last said.
    fn write_rest(&mut self) -> Result<(), output::Error> {
        match self.watch.rest(&Subject::Output) {
            Some((state, figures)) => self.write_health(Subject::Output, state, figures),
            None => Ok(()),
        }
    }

    /// Ends the output, and waits until it is written.
    pub fn close(self) -> Result<(), output::Error> {
        quiet(self.sink.finish())
    }

    /// What came out so far.
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
            // The connections of the exchanges that were asked for come after them.
            if self.enough() == Flow::Continue || matches!(observed.happening, Happening::Connection(_)) {
                self.write_one(&observed)?;
            }
        }
        self.tell_dropped()?;
        self.sink.flush()?;
        Ok(self.enough())
    }

    fn write_one(&mut self, observed: &Observed) -> Result<(), output::Error> {
        let line = self.redactor.redact(observed);
        if !self.filter.passes(&line) {
            return Ok(());
        }
        self.tell_dropped()?;
        if self.sink.write(&line)? == Written::Dropped {
            self.dropped += 1;
            self.summary.dropped += 1;
            return Ok(());
        }
        if let Happening::Exchange(exchange) = &observed.happening {
            self.summary.exchanges += 1;
            self.summary.half += u64::from(exchange.request.is_none() || exchange.response.is_none());
        }
        Ok(())
    }

    /// Says how many lines were dropped, as soon as there is room for that again.
    fn tell_dropped(&mut self) -> Result<(), output::Error> {
        let figures = Figures {
            dropped: std::mem::take(&mut self.dropped),
            ..Figures::default()
        };
        match self.watch.note(&Subject::Output, figures, self.last_ns) {
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
            self.watch.put_back(&health.subject, figures);
        }
        Ok(())
    }
}

/// A reader that went away is a quiet end.
fn quiet(result: Result<(), output::Error>) -> Result<(), output::Error> {
    match result {
        Err(output::Error::BrokenPipe) => Ok(()),
        Ok(()) | Err(output::Error::Write(_)) => result,
    }
}
