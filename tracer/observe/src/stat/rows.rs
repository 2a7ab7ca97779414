//! Counts per route, upstream, side and class of status.

use std::{collections::HashMap, sync::Arc};

use super::{
    histogram::Histogram,
    route::{shortened, template},
};
use crate::{
    limits::MAX_STAT_ROWS,
    redact::{ExchangeLine, RequestLine},
};

/// What a row counts the exchanges of.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// The side of the traced process.
    pub(crate) side: &'static str,
    /// The method, the host and the template of the path; what is unknown is `None`.
    pub(crate) method: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) route: Option<String>,
    /// The address that was asked, if the traced process asked.
    pub(crate) upstream: Option<String>,
    /// The class of the status, such as `2xx`; `none` if it is unknown.
    pub(crate) status: &'static str,
}

impl Key {
    /// Returns the key of an exchange.
    pub(crate) fn of(line: &ExchangeLine<'_>) -> Self {
        let text = |text: Option<&str>| text.map(shortened);
        let request = line.request.as_ref();
        let RequestParts { method, host, path } = request.map(RequestParts::of).unwrap_or_default();
        Self {
            side: line.side,
            method: text(method),
            host: text(host),
            route: path.map(template),
            upstream: upstream(line).map(shortened),
            status: class(line.response.as_ref().and_then(|response| response.status)),
        }
    }
}

#[derive(Default)]
struct RequestParts<'a> {
    method: Option<&'a str>,
    host: Option<&'a str>,
    path: Option<&'a str>,
}

impl<'a> RequestParts<'a> {
    fn of(request: &'a RequestLine<'_>) -> Self {
        Self {
            method: request.method.as_deref(),
            host: request.authority.as_deref(),
            path: request.path.as_deref(),
        }
    }
}

/// Returns the address that a traced process asked; `None` if it was asked, or if the address is unknown.
pub fn upstream<'a>(line: &'a ExchangeLine<'_>) -> Option<&'a str> {
    let is_client = line.side == "client";
    line.connection.remote.as_deref().filter(|_| is_client)
}

/// Returns the class of a status: `1xx` to `5xx`, `other`, or `none` if it is unknown.
pub const fn class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) => "other",
        None => "none",
    }
}

/// The counts of a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Exchanges.
    pub(crate) requests: u64,
    /// Those that failed.
    pub(crate) errors: u64,
    /// Durations of those that have ended, in microseconds.
    pub(crate) durations: Histogram,
    /// How long a gateway had each request while no upstream server had it, where that is known, in microseconds.
    pub(crate) gateway: Histogram,
}

/// Rows, at most [`MAX_STAT_ROWS`]. What has no row is counted in one row for all of it.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: HashMap<Arc<Key>, Counts>,
    other: Counts,
}

impl Rows {
    /// Returns the counts for a key.
    pub(super) fn counts(&mut self, key: &Arc<Key>) -> &mut Counts {
        if self.rows.len() >= MAX_STAT_ROWS && !self.rows.contains_key(key) {
            return &mut self.other;
        }
        self.rows.entry(Arc::clone(key)).or_default()
    }

    /// Returns all rows, those of most requests first.
    pub(super) fn sorted(&self) -> Vec<(&Key, &Counts)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(key, counts)| (&**key, counts)).collect();
        rows.sort_unstable_by(|(key, counts), (other_key, other)| {
            other.requests.cmp(&counts.requests).then_with(|| key.cmp(other_key))
        });
        rows
    }

    /// Returns the counts of what has no row, if there are any.
    pub(super) fn other(&self) -> Option<&Counts> {
        (self.other.requests > 0 || self.other.durations.total() > 0).then_some(&self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(route: usize) -> Arc<Key> {
        Arc::new(Key {
            side: "server",
            method: None,
            host: None,
            route: Some(route.to_string()),
            upstream: None,
            status: "2xx",
        })
    }

    #[test]
    fn routes_beyond_the_bound_share_a_row() {
        let mut rows = Rows::default();
        for route in 0..MAX_STAT_ROWS + 5 {
            rows.counts(&key(route)).requests += 1;
        }
        rows.counts(&key(0)).requests += 1;
        assert_eq!(rows.sorted().len(), MAX_STAT_ROWS);
        assert_eq!(rows.sorted()[0].1.requests, 2);
        assert_eq!(rows.other().map(|other| other.requests), Some(5));
    }
}
