//! Counts per upstream: what load balancing did, and what its connections cost.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{histogram::Histogram, route::shortened, rows::Counts};
use crate::{
    limits::{MAX_STAT_CONNECTIONS, MAX_STAT_UPSTREAMS},
    redact::SummaryLine,
};

/// The counts of an upstream.
#[derive(Clone, Debug, Default)]
pub(super) struct Upstream {
    /// Its exchanges.
    pub(super) exchanges: Counts,
    /// Its connections that have ended, or that were open when the run ended.
    pub(super) connections: u64,
    /// Exchanges on connections that had carried one before.
    pub(super) reused: u64,
    /// Durations of the TLS handshakes that were seen, in microseconds.
    pub(super) handshakes: Histogram,
    /// Round-trip times, in microseconds.
    pub(super) round_trips: Histogram,
    /// Connections that were reset, by either end.
    pub(super) resets: u64,
    /// Connections that timed out.
    pub(super) timeouts: u64,
}

/// Upstreams by their addresses, at most [`MAX_STAT_UPSTREAMS`]. The rest is counted as one.
#[derive(Debug, Default)]
pub(super) struct Upstreams {
    by_address: HashMap<Arc<str>, Upstream>,
    other: Option<Upstream>,
    /// The connections on which the traced process asked: only their exchanges say that.
    asking: HashSet<String>,
    /// Connections that were not remembered as such at the bound.
    forgotten: u64,
}

impl Upstreams {
    /// Remembers that the traced process asks on a connection.
    pub(super) fn remember(&mut self, connection: &str) {
        if self.asking.contains(connection) {
            return;
        }
        if self.asking.len() >= MAX_STAT_CONNECTIONS {
            self.forgotten += 1;
            return;
        }
        self.asking.insert(connection.to_owned());
    }

    /// Returns the counts of an upstream.
    pub(super) fn counts(&mut self, address: &Arc<str>) -> &mut Upstream {
        if self.by_address.len() >= MAX_STAT_UPSTREAMS && !self.by_address.contains_key(address) {
            return self.other.get_or_insert_default();
        }
        self.by_address.entry(Arc::clone(address)).or_default()
    }

    /// Counts a connection that has ended, if the traced process asked on it.
    pub(super) fn connection(&mut self, line: &SummaryLine<'_>) {
        let SummaryLine {
            id: _,
            time: _,
            pid: _,
            process: _,
            tls: _,
            connection,
            opened: _,
            tls_version: _,
            cipher: _,
            alpn: _,
            server_name: _,
            handshake_us,
            rtt_us,
            retransmits: _,
            received: _,
            acknowledged: _,
            read: _,
            written: _,
            exchanges,
            ended,
            ended_by: _,
            open: _,
            encoding: _,
        } = line;
        if !self.asking.remove(&*connection.id) {
            return;
        }
        let Some(remote) = connection.remote.as_deref() else {
            return;
        };
        let upstream = self.counts(&shortened(remote).into());
        upstream.connections += 1;
        upstream.reused += exchanges.saturating_sub(1);
        if let Some(micros) = handshake_us {
            upstream.handshakes.add(*micros);
        }
        if let Some(micros) = rtt_us {
            upstream.round_trips.add((*micros).into());
        }
        upstream.resets += u64::from(*ended == Some("reset"));
        upstream.timeouts += u64::from(*ended == Some("timeout"));
    }

    /// Returns all upstreams by their addresses.
    pub(super) fn sorted(&self) -> Vec<(&str, &Upstream)> {
        let upstreams = self.by_address.iter();
        let mut upstreams: Vec<_> = upstreams.map(|(address, each)| (&**address, each)).collect();
        upstreams.sort_unstable_by_key(|(address, _)| *address);
        upstreams
    }

    /// Returns the counts of what has no row, if there are any.
    pub(super) const fn other(&self) -> Option<&Upstream> {
        self.other.as_ref()
    }

    /// Removes the counts. Which connections are those of clients is remembered.
    pub(super) fn clear(&mut self) {
        self.by_address.clear();
        self.other = None;
    }

    /// Returns the number of connections that were not remembered at the bound.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_beyond_the_bound_are_counted_as_one() {
        let mut upstreams = Upstreams::default();
        for number in 0..MAX_STAT_UPSTREAMS + 3 {
            upstreams.counts(&number.to_string().into()).connections += 1;
        }
        assert_eq!(upstreams.sorted().len(), MAX_STAT_UPSTREAMS);
        assert_eq!(upstreams.other().map(|other| other.connections), Some(3));
        upstreams.clear();
        assert!(upstreams.sorted().is_empty() && upstreams.other().is_none());
    }

    #[test]
    fn connections_beyond_the_bound_are_counted() {
        let mut upstreams = Upstreams::default();
        for number in 0..MAX_STAT_CONNECTIONS + 2 {
            upstreams.remember(&number.to_string());
            upstreams.remember(&number.to_string());
        }
        assert!(upstreams.forgotten() >= 2);
        assert_eq!(upstreams.asking.len(), MAX_STAT_CONNECTIONS);
    }
}
