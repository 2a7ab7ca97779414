//! The sink that passes lines on to several sinks.

use std::{thread, time::SystemTime};

use super::{Error, Sink, Written};
use crate::{
    correlate::{ActiveRequests, FunctionRecords},
    health::{Figures, Subject},
    redact::{Line, Redacted},
};

/// Passes each line to an output, and to exports beside it. Only the output can end the run or drop a line of it; what an
/// export drops is in its health.
pub struct Fork {
    output: Box<dyn Sink + Send>,
    exports: Vec<Box<dyn Sink + Send>>,
}

impl Fork {
    /// Returns a sink for all of them: the output itself if there are no exports.
    pub fn open(output: Box<dyn Sink + Send>, exports: Vec<Box<dyn Sink + Send>>) -> Box<dyn Sink + Send> {
        if exports.is_empty() {
            output
        } else {
            Box::new(Self { output, exports })
        }
    }
}

impl Sink for Fork {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        for export in &mut self.exports {
            export.write(line)?;
        }
        self.output.write(line)
    }

    fn tick(&mut self, now: SystemTime) -> Result<(), Error> {
        for export in &mut self.exports {
            export.tick(now)?;
        }
        self.output.tick(now)
    }

    fn add_health(&mut self, health: &mut Vec<(Subject, Figures)>) {
        for export in &mut self.exports {
            export.add_health(health);
        }
        self.output.add_health(health);
    }

    fn note_health(&mut self, subject: &Subject, figures: &Figures) {
        for export in &mut self.exports {
            export.note_health(subject, figures);
        }
        self.output.note_health(subject, figures);
    }

    fn wants_fields(&self) -> bool {
        self.output.wants_fields() || self.exports.iter().any(|export| export.wants_fields())
    }

    fn wants_active(&self) -> bool {
        self.output.wants_active() || self.exports.iter().any(|export| export.wants_active())
    }

    fn note_active(&mut self, active: &[ActiveRequests]) {
        for export in &mut self.exports {
            export.note_active(active);
        }
        self.output.note_active(active);
    }

    fn note_records(&mut self, records: &[FunctionRecords]) {
        for export in &mut self.exports {
            export.note_records(records);
        }
        self.output.note_records(records);
    }

    fn flush(&mut self) -> Result<(), Error> {
        for export in &mut self.exports {
            export.flush()?;
        }
        self.output.flush()
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { output, exports } = *self;
        // The output first: a person waits for it, and an export may wait for another machine. Exports wait at the same time, so
        // that none takes the time that another one has to tell what it could not send.
        let finished = output.finish();
        let ended = thread::scope(|scope| {
            let finish = |export: Box<dyn Sink + Send>| {
                let thread = thread::Builder::new().name("finish".to_owned());
                thread.spawn_scoped(scope, || export.finish())
            };
            let threads: Vec<_> = exports.into_iter().map(finish).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread?.join().unwrap_or(Ok(())))
        });
        finished.and(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier, Mutex, PoisonError};

    use super::{
        super::{Format, Style, sample},
        *,
    };

    /// Notes what it is told, and drops every line.
    struct Export(Arc<Mutex<Vec<&'static str>>>);

    impl Export {
        fn note(&self, word: &'static str) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(word);
        }
    }

    impl Sink for Export {
        fn write(&mut self, _: &Redacted<Line<'_>>) -> Result<Written, Error> {
            self.note("write");
            Ok(Written::Dropped)
        }

        fn tick(&mut self, _: SystemTime) -> Result<(), Error> {
            self.note("tick");
            Ok(())
        }

        fn add_health(&mut self, health: &mut Vec<(Subject, Figures)>) {
            let figures = Figures {
                dropped: 1,
                ..Figures::default()
            };
            health.push((Subject::Export(crate::health::Export::Syslog), figures));
        }

        fn note_health(&mut self, _: &Subject, _: &Figures) {
            self.note("health");
        }

        fn wants_active(&self) -> bool {
            true
        }

        fn note_active(&mut self, _: &[ActiveRequests]) {
            self.note("active");
        }

        fn note_records(&mut self, _: &[FunctionRecords]) {
            self.note("records");
        }

        fn flush(&mut self) -> Result<(), Error> {
            self.note("flush");
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<(), Error> {
            self.note("finish");
            Ok(())
        }
    }

    #[test]
    fn an_export_gets_all_and_its_drops_are_health_and_not_drops_of_the_output() {
        let told = Arc::default();
        let output = Format::Json.open(Vec::new(), Style::default());
        let mut sink = Fork::open(output, vec![Box::new(Export(Arc::clone(&told)))]);
        assert_eq!(sink.write(&sample::exchange()).unwrap(), Written::Yes);
        sink.tick(SystemTime::UNIX_EPOCH).unwrap();
        sink.note_health(&Subject::Ring, &Figures::default());
        sink.note_records(&[]);
        assert!(sink.wants_active());
        sink.note_active(&[]);
        sink.flush().unwrap();
        let mut health = Vec::new();
        sink.add_health(&mut health);
        assert!(
            matches!(health.as_slice(), [(Subject::Export(crate::health::Export::Syslog), figures)] if figures.dropped == 1)
        );
        sink.finish().unwrap();
        assert_eq!(
            *told.lock().unwrap(),
            ["write", "tick", "health", "records", "active", "flush", "finish"]
        );
    }

    /// Finishes together with others.
    struct Meets(Arc<Barrier>);

    impl Sink for Meets {
        fn write(&mut self, _: &Redacted<Line<'_>>) -> Result<Written, Error> {
            Ok(Written::Yes)
        }

        fn flush(&mut self) -> Result<(), Error> {
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<(), Error> {
            self.0.wait();
            Err(Error::BrokenPipe)
        }
    }

    #[test]
    fn exports_wait_at_the_same_time_at_the_end() {
        let all = Arc::new(Barrier::new(3));
        let export = |_| -> Box<dyn Sink + Send> { Box::new(Meets(Arc::clone(&all))) };
        let output = Format::Json.open(Vec::new(), Style::default());
        let sink = Fork::open(output, (0..3).map(export).collect());
        assert!(matches!(sink.finish(), Err(Error::BrokenPipe)));
    }
}
