//! Lines as syslog messages, to a server or to this machine's own log.
//!
//! The thread that sends is behind a queue that is bounded in bytes. A server that is away or slow costs lines, which are
//! counted, and nothing else.

mod destination;
mod message;
mod queue;
mod connection;
mod sender;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, thread, time::Instant};

use tracer_observe::{
    health::{Export, Figures, Subject},
    output::{Error, JsonLines, Sink, Written},
    redact::{Line, Redacted},
};

pub use self::destination::Destination;
use self::{
    message::{Formatter, Framing},
    queue::Queue,
    sender::Sender,
};
use crate::limits::{FINISH, FINISH_QUIETLY, MAX_SYSLOG_BYTES};

/// Sends lines to a syslog server.
pub(crate) struct Syslog {
    queue: Arc<Queue>,
    formatter: Formatter,
    json: JsonLines,
    /// Its destination, in messages.
    name: String,
    say: fn(&str),
}

impl Syslog {
    /// Starts the thread that sends. It connects when there is a line to send.
    pub(crate) fn open(destination: Destination, say: fn(&str)) -> io::Result<Self> {
        Self::bounded(destination, MAX_SYSLOG_BYTES, say)
    }

    fn bounded(destination: Destination, bound: usize, say: fn(&str)) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(bound));
        let shared = Arc::clone(&queue);
        let formatter = Formatter::new(Framing::from(&destination));
        let name = destination.to_string();
        thread::Builder::new().name("syslog".to_owned()).spawn(move || {
            Sender::new(&destination, &shared, say).run();
            shared.end();
        })?;
        Ok(Self {
            queue,
            formatter,
            json: JsonLines::default(),
            name,
            say,
        })
    }
}

impl Sink for Syslog {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        let json = self.json.format(line)?;
        self.queue.push(self.formatter.format(line, json));
        Ok(Written::Yes)
    }

    fn add_health(&mut self, health: &mut Vec<(Subject, Figures)>) {
        let figures = Figures {
            dropped: self.queue.take_dropped(),
            ..Figures::default()
        };
        health.push((Subject::Export(Export::Syslog), figures));
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let began = Instant::now();
        self.queue.close(began + FINISH);
        let unsent = self.queue.wait(began + FINISH_QUIETLY);
        if unsent > 0 {
            (self.say)(&format!("syslog: lines still being sent to {}: {unsent}", self.name));
        }
        let unsent = u64::try_from(self.queue.wait(began + FINISH)).unwrap_or(u64::MAX);
        let lost = unsent.saturating_add(self.queue.take_dropped());
        if lost > 0 {
            (self.say)(&format!("syslog: lines not sent to {}: {lost}", self.name));
        }
        Ok(())
    }
}
