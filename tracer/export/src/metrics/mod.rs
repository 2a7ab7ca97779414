//! Metrics for Prometheus: requests, errors and durations, and the state of tlscope itself.
//!
//! The sink counts and sends nothing: Prometheus asks a server for the counts. So nothing is queued, and nothing is dropped.
//! Labels come from redacted lines, and each kind of them has a bound: whoever sends requests chooses paths, methods and names.

mod labels;
mod routes;
mod rows;
mod state;
mod process;
mod exposition;
mod server;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, sync::Arc, time::SystemTime};

use tracer_observe::{
    correlate::{ActiveRequests, FunctionRecords},
    health::{Figures, Subject},
    output::{Error, Sink, Written},
    redact::{Line, Redacted},
};

use self::{server::Server, state::Shared};

/// Counts lines, and answers Prometheus.
pub(crate) struct Metrics {
    shared: Arc<Shared>,
    server: Server,
}

impl Metrics {
    /// Listens on an address.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let server = Server::start(address, Arc::clone(&shared))?;
        Ok(Self { shared, server })
    }

    /// Returns the address that Prometheus can ask.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

impl Sink for Metrics {
    fn write(&mut self, line: &Redacted<Line<'_>>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(line) => self.shared.count(|rows| rows.exchange(line)),
            Line::Hop(hop) => self.shared.count(|rows| rows.hop(hop)),
            Line::End(line) => self.shared.count(|rows| rows.end(line)),
            Line::Loss(line) => self.shared.loss(line),
            Line::Hooks(line) => self.shared.refused_hooks(line),
            Line::Alert(line) => self.shared.alert(line),
            // The figures of health come with `note_health`, and more often.
            Line::Health(_) | Line::Connection(_) | Line::Audit(_) => {}
        }
        Ok(Written::Yes)
    }

    fn tick(&mut self, _now: SystemTime) -> Result<(), Error> {
        self.shared.tick();
        Ok(())
    }

    fn note_health(&mut self, subject: &Subject, figures: &Figures) {
        self.shared.health(subject, figures);
    }

    fn wants_fields(&self) -> bool {
        false
    }

    fn wants_active(&self) -> bool {
        true
    }

    fn note_active(&mut self, active: &[ActiveRequests]) {
        self.shared.count(|rows| rows.set_active(active));
    }

    fn note_records(&mut self, records: &[FunctionRecords]) {
        self.shared.records(records);
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        drop(self.server);
        Ok(())
    }
}
