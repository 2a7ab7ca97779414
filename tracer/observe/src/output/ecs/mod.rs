//! Elastic Common Schema 8, one JSON object a line.
//!
//! An exchange is written when it has ended, because a document of Elasticsearch is not changed later. What ECS has no
//! field for is under `tlscope`. Headers are texts in an array there: a field for each name would let whoever sends requests
//! fill the mapping of an index.

mod document;
mod exchange;
mod alert;
mod audit;
mod endpoint;
mod other;

use self::document::Document;
use super::{Error, Lines, Sink, Written, escape::write_json, waiting::Waiting, write_each};
use crate::{
    limits::MAX_WAITING_BYTES,
    redact::{ExchangeLine, Line, Redacted},
};

/// Writes documents of the Elastic Common Schema.
pub struct Ecs<L: Lines> {
    lines: L,
    /// The document in progress, so that it is written as a whole.
    out: Vec<u8>,
    /// Exchanges that have not ended. At the bound, that which has waited longest is written as it is.
    waiting: Waiting,
}

impl<L: Lines> Ecs<L> {
    /// Creates a sink that writes to `lines`.
    pub fn new(lines: L) -> Self {
        Self {
            lines,
            out: Vec::new(),
            waiting: Waiting::new(MAX_WAITING_BYTES),
        }
    }

    fn document(&mut self, document: &Document<'_>) -> Result<Written, Error> {
        self.out.clear();
        write_json(&mut self.out, document)?;
        self.out.push(b'\n');
        Ok(self.lines.line(&self.out)?)
    }

    fn exchange(&mut self, line: &ExchangeLine<'_>) -> Result<Written, Error> {
        if line.ended.is_some() {
            return self.document(&exchange::document(line));
        }
        self.waiting.add(line.to_static());
        let mut written = Written::Yes;
        while let Some(longest) = self.waiting.take_over_bound() {
            if self.document(&exchange::document(&longest))? == Written::Dropped {
                written = Written::Dropped;
            }
        }
        Ok(written)
    }
}

impl<L: Lines> Sink for Ecs<L> {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(line) => self.exchange(line),
            Line::Hop(hop) => write_each(hop.exchanges(), |line| self.exchange(line)),
            Line::End(end) => match self.waiting.end(end) {
                Some(line) => self.document(&exchange::document(&line)),
                None => Ok(Written::Yes),
            },
            Line::Connection(line) => self.document(&other::connection(line)),
            Line::Loss(line) => self.document(&other::loss(line)),
            Line::Health(line) => self.document(&other::health(line)),
            Line::Hooks(line) => self.document(&other::hooks(line)),
            Line::Alert(line) => self.document(&alert::document(line)),
            Line::Audit(line) => self.document(&audit::document(line)),
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        for line in self.waiting.take_all() {
            self.document(&exchange::document(&line))?;
        }
        Ok(self.lines.finish(b"")?)
    }
}

#[cfg(test)]
mod tests;
