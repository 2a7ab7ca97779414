//! Lines that were dropped because the disk was full, in the health of the output.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use tracer_observe::{
    health::{Figures, Subject},
    output::{Error, Sink, Written},
    redact::{Line, Redacted},
};

/// A count of lines, shared by the thread that drops them and the sink that reports them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost(Arc<AtomicU64>);

impl Lost {
    pub(super) fn add(&self, lines: u64) {
        self.0.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A sink whose lines may be dropped after they were written.
pub(crate) struct LostLines {
    sink: Box<dyn Sink + Send>,
    lost: Lost,
}

impl LostLines {
    /// Adds what is lost to the health of a sink.
    pub(crate) fn of(sink: Box<dyn Sink + Send>, lost: Option<Lost>) -> Box<dyn Sink + Send> {
        match lost {
            Some(lost) => Box::new(Self { sink, lost }),
            None => sink,
        }
    }
}

impl Sink for LostLines {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        self.sink.write(line)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), Error> {
        self.sink.tick(now)
    }

    fn add_health(&mut self, health: &mut Vec<(Subject, Figures)>) {
        self.sink.add_health(health);
        let dropped = self.lost.take();
        if dropped > 0 {
            let figures = Figures {
                dropped,
                ..Figures::default()
            };
            health.push((Subject::Output, figures));
        }
    }

    fn note_health(&mut self, subject: &Subject, figures: &Figures) {
        self.sink.note_health(subject, figures);
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.sink.flush()
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        self.sink.finish()
    }
}
