//! Metrics: durations of exchanges by the semantic conventions for HTTP metrics, losses, and the health of tlscope.
//!
//! All are cumulative since the begin of the run, so that a request that is lost costs nothing but its moment.

mod active;
mod histogram;
mod points;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracer_observe::{
    correlate::{ActiveRequests, FunctionRecords},
    redact::{ExchangeLine, HealthLine, HooksLine, LossLine},
};

use self::{
    active::Active,
    histogram::Histogram,
    points::{Span, counters, histograms, of_functions},
};
use super::{
    record::{EncodedResource, Record},
    span::Http,
};
use crate::limits::MAX_SERIES;

/// What the exchanges of a series have in common.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct SeriesKey {
    resource: EncodedResource,
    side: &'static str,
    /// `None` in the series of all exchanges for whose own one there is no room.
    labels: Option<Box<Labels>>,
}

/// The attributes of a series.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Labels {
    method: String,
    scheme: Option<String>,
    version: Option<&'static str>,
    /// Host and port of the server, of exchanges with upstream servers only: clients choose that of the others at will.
    server: Option<(String, Option<u16>)>,
    status: Option<u16>,
    error: Option<String>,
}

impl SeriesKey {
    /// Returns the series of an exchange.
    pub(super) fn of(resource: EncodedResource, line: &ExchangeLine<'_>, http: &Http<'_>) -> Self {
        let server = http.server().filter(|_| line.side == "client");
        Self {
            resource,
            side: line.side,
            labels: Some(Box::new(Labels {
                method: http.method.name().to_owned(),
                scheme: http.scheme().map(str::to_owned),
                version: line.protocol.strip_prefix("http/"),
                server: server.map(|(host, port)| (host.to_owned(), port)),
                status: line.response.as_ref().and_then(|response| response.status),
                error: None,
            })),
        }
    }

    /// Returns the series of an exchange that ended with this error.
    pub(super) fn with_error(mut self, error: Option<&str>) -> Self {
        if let Some(labels) = &mut self.labels {
            labels.error = error.map(str::to_owned);
        }
        self
    }
}

/// The metrics of a run.
#[derive(Debug)]
pub(super) struct Metrics {
    /// Time of the records between two exports.
    interval: Duration,
    /// The resource of tlscope.
    own: EncodedResource,
    /// The times of the first record, of the latest one, and of the last export, since 1970.
    began: Option<Duration>,
    latest: Option<Duration>,
    exported: Option<Duration>,
    durations: BTreeMap<SeriesKey, Histogram>,
    counts: BTreeMap<(EncodedResource, Counter), u64>,
    active: Active,
    /// The records that the hooks of each function have brought.
    records: Vec<FunctionRecords>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Counter {
    Losses {
        direction: &'static str,
        cause: &'static str,
    },
    LostBytes {
        direction: &'static str,
        cause: &'static str,
    },
    Dropped {
        subject: &'static str,
        name: Option<&'static str>,
    },
    RefusedHooks {
        name: &'static str,
        cause: &'static str,
    },
}

impl Metrics {
    /// Creates metrics that are sent so often. What is about no process is of this resource.
    pub(super) fn new(interval: Duration, own: EncodedResource) -> Self {
        Self {
            interval,
            own,
            began: None,
            latest: None,
            exported: None,
            durations: BTreeMap::new(),
            counts: BTreeMap::new(),
            active: Active::default(),
            records: Vec::new(),
        }
    }

    /// Counts an exchange that has ended.
    pub(super) fn exchange(&mut self, mut key: SeriesKey, duration_us: u64) {
        if self.durations.len() >= MAX_SERIES && !self.durations.contains_key(&key) {
            key.resource = Arc::clone(&self.own);
            key.labels = None;
        }
        self.durations.entry(key).or_default().add(duration_us);
    }

    /// Counts a loss.
    pub(super) fn loss(&mut self, resource: &EncodedResource, line: &LossLine<'_>) {
        let LossLine { direction, cause, .. } = *line;
        self.count(resource, Counter::Losses { direction, cause }, 1);
        if let Some(bytes) = line.bytes {
            self.count(resource, Counter::LostBytes { direction, cause }, bytes);
        }
    }

    /// Counts what tlscope dropped.
    pub(super) fn health(&mut self, line: &HealthLine) {
        let HealthLine { subject, name, .. } = *line;
        if let Some(dropped) = line.dropped {
            let own = Arc::clone(&self.own);
            self.count(&own, Counter::Dropped { subject, name }, dropped);
        }
    }

    /// Counts hooks that do not serve a process.
    pub(super) fn hooks(&mut self, resource: &EncodedResource, line: &HooksLine<'_>) {
        let HooksLine { name, cause, .. } = *line;
        self.count(resource, Counter::RefusedHooks { name, cause }, 1);
    }

    /// Takes note of the requests that are active.
    pub(super) fn note_active(&mut self, active: &[(EncodedResource, &ActiveRequests)], methods: &[String]) {
        self.active.set(active, &self.own, methods);
    }

    /// Takes note of how many records the hooks of each function have brought.
    pub(super) fn note_records(&mut self, records: &[FunctionRecords]) {
        self.records.clear();
        self.records.extend_from_slice(records);
    }

    /// Takes note of the time of a record since 1970.
    pub(super) fn note(&mut self, time: Duration) {
        self.began = Some(self.began.map_or(time, |began| began.min(time)));
        self.latest = self.latest.max(Some(time));
    }

    /// Takes note of the time; returns the metrics to send, if they are due.
    pub(super) fn tick(&mut self, now: Duration) -> Vec<Record> {
        self.note(now);
        let last = *self.exported.get_or_insert(now);
        if now.saturating_sub(last) < self.interval {
            return Vec::new();
        }
        self.export(now)
    }

    /// Returns the metrics at the end of the run.
    pub(super) fn finish(&mut self) -> Vec<Record> {
        self.latest.map(|now| self.export(now)).unwrap_or_default()
    }

    fn export(&mut self, now: Duration) -> Vec<Record> {
        self.exported = Some(now);
        let span = Span {
            began: self.began.unwrap_or(now),
            now,
        };
        let mut records = histograms(&self.durations, span);
        records.extend(counters(&self.counts, span));
        records.extend(self.active.take_records(span));
        records.extend(of_functions(&self.own, &self.records, span));
        records
    }

    fn count(&mut self, resource: &EncodedResource, counter: Counter, count: u64) {
        let key = (EncodedResource::clone(resource), counter);
        // There are few counters; processes may be many.
        if self.counts.len() < MAX_SERIES || self.counts.contains_key(&key) {
            let sum = self.counts.entry(key).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests;
