//! Counts for each set of labels.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tracer_observe::{
    correlate::ActiveRequests,
    redact::{EndLine, ExchangeLine, ExchangeObject, HopLine},
    stat::{Open, class, is_error, is_failure, upstream},
};

use super::{
    labels::{NameId, Names, OTHER, OTHER_TEXT, method},
    routes::{Learn, Routes},
};
use crate::limits::{MAX_PROCESSES, MAX_ROWS, MAX_UPSTREAMS};

/// The labels of a row, as indices of names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    process: NameId,
    side: &'static str,
    method: &'static str,
    route: NameId,
    upstream: NameId,
    status: &'static str,
}

/// The labels of a row. What is not known is empty.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) process: Arc<str>,
    pub(super) side: &'static str,
    pub(super) method: &'static str,
    pub(super) route: Arc<str>,
    pub(super) upstream: Arc<str>,
    pub(super) status: &'static str,
}

/// The counts of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) durations: Buckets,
    /// How long a gateway had each request while no upstream server had it.
    pub(super) gateway: Buckets,
}

/// How many durations are within each of [`BOUNDS_US`], and how many are beyond.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    pub(super) counts: [u64; BOUNDS_US.len()],
    pub(super) beyond: u64,
    pub(super) sum_us: u64,
}

impl Buckets {
    fn add(&mut self, micros: u64) {
        let bucket = BOUNDS_US
            .iter()
            .zip(&mut self.counts)
            .find(|(bound, _)| micros <= **bound);
        *bucket.map_or(&mut self.beyond, |(_, count)| count) += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// Returns the number of durations.
    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.beyond
    }
}

/// The bounds of the buckets in microseconds, from a cached file on the same machine to a timeout.
pub(super) const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Requests that share a label `other`, by the label.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Others {
    pub(super) process: u64,
    pub(super) route: u64,
    pub(super) upstream: u64,
    /// All labels but the side and the status, because there are too many rows.
    pub(super) all: u64,
}

/// Rows, at most [`MAX_ROWS`], and some that share the rest.
#[derive(Debug)]
pub(super) struct Rows {
    counted: HashMap<Key, Row>,
    processes: Names,
    routes: Routes,
    upstreams: Names,
    open: Open<Key>,
    /// Requests whose responses have not ended; 0 where there were some before.
    active: BTreeMap<ActiveKey, u64>,
    others: Others,
}

/// Process, side and method of requests that are active.
type ActiveKey = (NameId, &'static str, &'static str);

/// The labels of active requests: process, side and method.
pub(super) type ActiveLabels = (Arc<str>, &'static str, &'static str);

impl Default for Rows {
    fn default() -> Self {
        Self {
            counted: HashMap::new(),
            processes: Names::new(MAX_PROCESSES),
            routes: Routes::default(),
            upstreams: Names::new(MAX_UPSTREAMS),
            open: Open::default(),
            active: BTreeMap::new(),
            others: Others::default(),
        }
    }
}

impl Rows {
    /// Counts an exchange; its duration and how it ended, once it has.
    pub(super) fn exchange(&mut self, line: &ExchangeLine<'_>) {
        let key = self.key(line);
        let is_error = is_error(line);
        let row = self.row(key);
        row.requests += 1;
        row.errors += u64::from(is_error);
        if let Some(micros) = line.duration_us {
            row.durations.add(micros);
        }
        if line.ended.is_none() && line.request.is_some() && !is_error {
            self.open.insert(&line.id, key);
        }
    }

    /// Counts the end of an exchange that was counted before it had ended.
    pub(super) fn end(&mut self, line: &EndLine<'_>) {
        if let Some(key) = self.open.remove(&line.id) {
            let is_error = is_failure(Some(line.ended), line.grpc_status);
            let row = self.row(key);
            row.errors += u64::from(is_error);
            row.durations.add(line.duration_us);
        }
    }

    /// Counts the exchanges of a hop, and how long the gateway had the request itself.
    pub(super) fn hop(&mut self, hop: &HopLine<'_>) {
        hop.exchanges().for_each(|line| self.exchange(line));
        if let (Some(ExchangeObject(downstream)), Some(micros)) = (&hop.downstream, hop.gateway_us) {
            let before = self.others;
            let key = self.key(downstream);
            // It was counted as an exchange.
            self.others = before;
            self.row(key).gateway.add(micros);
        }
    }

    /// Sets how many requests are active, which are these and no others.
    pub(super) fn set_active(&mut self, active: &[ActiveRequests]) {
        self.active.values_mut().for_each(|count| *count = 0);
        for requests in active {
            let process = self.processes.id(&requests.process.name);
            let method = method(Some(requests.method.unwrap_or(OTHER_TEXT)));
            let key = (process, requests.side.name(), method);
            *self.active.entry(key).or_default() += requests.count;
        }
    }

    fn key(&mut self, line: &ExchangeLine<'_>) -> Key {
        let status = line.response.as_ref().and_then(|response| response.status);
        let request = line.request.as_ref();
        let path = request.and_then(|request| request.path.as_deref());
        let learn = match status {
            None | Some(400 | 404 | 405 | 410) => Learn::No,
            Some(_) => Learn::Yes,
        };
        let key = Key {
            process: self.processes.id(&line.process),
            side: line.side,
            method: method(request.and_then(|request| request.method.as_deref())),
            route: self.routes.id(path, learn),
            upstream: self.upstreams.id(upstream(line).unwrap_or_default()),
            status: class(status),
        };
        self.others.process += u64::from(key.process == OTHER);
        self.others.route += u64::from(key.route == OTHER);
        self.others.upstream += u64::from(key.upstream == OTHER);
        if self.counted.len() < MAX_ROWS || self.counted.contains_key(&key) {
            return key;
        }
        self.others.all += 1;
        Key {
            process: OTHER,
            method: OTHER_TEXT,
            route: OTHER,
            upstream: OTHER,
            ..key
        }
    }

    fn row(&mut self, key: Key) -> &mut Row {
        self.counted.entry(key).or_default()
    }

    /// Copies the rows, so that they can be printed while others are counted.
    pub(super) fn copied(&self) -> Vec<(Labels, Row)> {
        let labels = |key: &Key| Labels {
            process: self.processes.name(key.process),
            side: key.side,
            method: key.method,
            route: self.routes.names().name(key.route),
            upstream: self.upstreams.name(key.upstream),
            status: key.status,
        };
        self.counted
            .iter()
            .map(|(key, row)| (labels(key), row.clone()))
            .collect()
    }

    /// Returns how many requests are active, by their labels.
    pub(super) fn active(&self) -> Vec<(ActiveLabels, u64)> {
        let labels = |(process, side, method): &ActiveKey| (self.processes.name(*process), *side, *method);
        self.active.iter().map(|(key, count)| (labels(key), *count)).collect()
    }

    /// Returns the number of exchanges that are counted and have not ended.
    pub(super) fn open(&self) -> usize {
        self.open.count()
    }

    /// Returns the number of exchanges whose end will not be counted.
    pub(super) const fn forgotten(&self) -> u64 {
        self.open.forgotten
    }

    /// Returns the requests that share a label.
    pub(super) const fn others(&self) -> Others {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_the_least_bound_that_it_does_not_exceed() {
        let mut buckets = Buckets::default();
        for micros in [0, 100, 101, 30_000_000, 30_000_001, u64::MAX] {
            buckets.add(micros);
        }
        assert_eq!((buckets.counts[0], buckets.counts[1], buckets.counts[16]), (2, 1, 1));
        assert_eq!((buckets.beyond, buckets.total(), buckets.sum_us), (2, 6, u64::MAX));
    }
}
