//! The sink that passes lines on to several sinks.

use std::time::SystemTime;

use super::{Error, Sink, Written};
use crate::{
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

    fn flush(&mut self) -> Result<(), Error> {
        for export in &mut self.exports {
            export.flush()?;
        }
        self.output.flush()
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { output, exports } = *self;
        // The output first: a person waits for it, and an export may wait for another machine.
        let finished = output.finish();
        for export in exports {
            export.finish()?;
        }
        finished
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

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
        sink.flush().unwrap();
        let mut health = Vec::new();
        sink.add_health(&mut health);
        assert!(
            matches!(health.as_slice(), [(Subject::Export(crate::health::Export::Syslog), figures)] if figures.dropped == 1)
        );
        sink.finish().unwrap();
        assert_eq!(*told.lock().unwrap(), ["write", "tick", "health", "flush", "finish"]);
    }
}
