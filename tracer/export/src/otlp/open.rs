//! Spans of exchanges that have not ended, which wait for their end.
//!
//! Their memory is bounded. At the bound, the one that has waited longest is sent as it is.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{record::Record, span::End};
use crate::limits::RECORD_BYTES;

/// An exchange that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    /// Its id.
    pub(super) id: String,
    /// Its span without the end; `None` if spans are not sent.
    pub(super) span: Option<Record>,
    /// When it began, since 1970.
    pub(super) began: Duration,
    /// How long it is known to have gone on.
    pub(super) so_far_us: Option<u64>,
    pub(super) side: &'static str,
    pub(super) status: Option<u16>,
    /// The series of the metric that its duration counts to.
    pub(super) series: Option<super::metrics::SeriesKey>,
}

impl Open {
    fn bytes(&self) -> usize {
        let span = self.span.as_ref().map_or(0, |span| span.bytes.len());
        // The id is in two tables.
        RECORD_BYTES + 2 * self.id.len() + span
    }

    /// Returns the end of one that is sent before it has ended.
    pub(super) fn cut(&self) -> End<'_> {
        End {
            outcome: super::span::Outcome {
                side: self.side,
                status: self.status,
                grpc_status: None,
                ended: None,
            },
            duration_us: self.so_far_us,
            first_byte_us: None,
            first_event_us: None,
            response_body_bytes: None,
        }
    }
}

/// The exchanges that have not ended.
#[derive(Debug)]
pub(super) struct OpenExchanges {
    /// In the order in which they were added.
    waiting: BTreeMap<u64, Open>,
    /// Keys of `waiting` by the id of the exchange.
    keys: HashMap<String, u64>,
    next_key: u64,
    bytes: usize,
    bound: usize,
}

impl OpenExchanges {
    /// Creates an empty store of at most `bound` bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            bytes: 0,
            bound,
        }
    }

    /// Adds an exchange.
    pub(super) fn add(&mut self, open: Open) {
        self.bytes += open.bytes();
        self.keys.insert(open.id.clone(), self.next_key);
        self.waiting.insert(self.next_key, open);
        self.next_key += 1;
    }

    /// Removes and returns the exchange that has waited longest, if the bound is exceeded.
    pub(super) fn take_over_bound(&mut self) -> Option<Open> {
        (self.bytes > self.bound).then(|| self.take_first())?
    }

    /// Removes and returns an exchange; `None` if it does not wait.
    pub(super) fn take(&mut self, id: &str) -> Option<Open> {
        let key = self.keys.remove(id)?;
        let open = self.waiting.remove(&key)?;
        self.bytes -= open.bytes();
        Some(open)
    }

    /// Removes and returns the exchange that has waited longest.
    pub(super) fn take_first(&mut self) -> Option<Open> {
        let (_, open) = self.waiting.pop_first()?;
        self.keys.remove(&open.id);
        self.bytes -= open.bytes();
        Some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(id: &str) -> Open {
        Open {
            id: id.to_owned(),
            span: None,
            began: Duration::ZERO,
            so_far_us: None,
            side: "server",
            status: None,
            series: None,
        }
    }

    #[test]
    fn the_one_that_has_waited_longest_gives_way_at_the_bound() {
        let mut exchanges = OpenExchanges::new(2 * (RECORD_BYTES + 2));
        for id in ["a", "b", "c"] {
            exchanges.add(open(id));
        }
        assert_eq!(exchanges.take_over_bound().unwrap().id, "a");
        assert!(exchanges.take_over_bound().is_none() && exchanges.take("a").is_none());
        assert_eq!(exchanges.take("c").unwrap().id, "c");
        assert_eq!(exchanges.take_first().unwrap().id, "b");
        assert_eq!((exchanges.bytes, exchanges.keys.len()), (0, 0));
    }
}
