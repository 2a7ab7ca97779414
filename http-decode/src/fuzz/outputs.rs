//! Properties of the outputs of any connection: no exchange is emitted twice, even as two halves, and an `End` follows an
//! exchange that goes on.

use std::collections::BTreeSet;

use crate::limits::MAX_FINISHED_STREAMS;
use crate::{Connection, Exchange, Output, Protocol, Reason};

/// What a connection has emitted.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    ordinals: BTreeSet<u64>,
    going_on: BTreeSet<u64>,
    streams: BTreeSet<u64>,
    pub(super) ended_by_connection: bool,
}

impl Outputs {
    /// Checks all queued outputs.
    pub(super) fn drain(&mut self, connection: &mut Connection) {
        while let Some(output) = connection.poll() {
            match output {
                Output::Exchange(exchange) => self.check(&exchange),
                Output::End(end) => assert!(self.going_on.remove(&end.ordinal), "{end:?} of nothing that goes on"),
                // The client started over, so the stream identifiers do too.
                Output::Undecoded(_, _, Reason::Restarted) => self.streams.clear(),
                Output::Undecoded(..) | Output::Gap(_) => {}
            }
        }
    }

    fn check(&mut self, exchange: &Exchange) {
        assert!(self.ordinals.insert(exchange.ordinal), "twice: {exchange:?}");
        if exchange.ended.is_none() {
            self.going_on.insert(exchange.ordinal);
        }
        self.ended_by_connection |= exchange.ended == Some(crate::Ended::Closed);
        // The connection remembers only the latest streams.
        if exchange.protocol == Protocol::Http2 && self.streams.len() < MAX_FINISHED_STREAMS {
            assert!(self.streams.insert(exchange.stream), "a stream twice: {exchange:?}");
        }
    }
}
