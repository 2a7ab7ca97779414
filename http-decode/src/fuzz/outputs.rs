//! What must hold for the outputs of any connection.
//!
//! In: outputs, in order. Out: nothing. Panics when an exchange comes out twice, as two halves too, or ends without having
//! gone on.

use std::collections::BTreeSet;

use crate::limits::MAX_FINISHED_STREAMS;
use crate::{Connection, Exchange, Output, Protocol, Reason};

/// What came out of a connection.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    ordinals: BTreeSet<u64>,
    going_on: BTreeSet<u64>,
    streams: BTreeSet<u64>,
    pub(super) ended_by_connection: bool,
}

impl Outputs {
    /// Takes everything that waits.
    pub(super) fn drain(&mut self, connection: &mut Connection) {
        while let Some(output) = connection.poll() {
            match output {
                Output::Exchange(exchange) => self.take(&exchange),
                Output::End(end) => assert!(self.going_on.remove(&end.ordinal), "{end:?} of nothing that goes on"),
                // Streams begin anew.
                Output::Undecoded(_, _, Reason::Restarted) => self.streams.clear(),
                Output::Undecoded(..) | Output::Gap(_) => {}
            }
        }
    }

    fn take(&mut self, exchange: &Exchange) {
        assert!(self.ordinals.insert(exchange.ordinal), "twice: {exchange:?}");
        if exchange.ended.is_none() {
            self.going_on.insert(exchange.ordinal);
        }
        self.ended_by_connection |= exchange.ended == Some(crate::Ended::Closed);
        // Only the latest streams are remembered.
        if exchange.protocol == Protocol::Http2 && self.streams.len() < MAX_FINISHED_STREAMS {
            assert!(self.streams.insert(exchange.stream), "a stream twice: {exchange:?}");
        }
    }
}
