//! Bytes that were lost: where, on which connection, each once.
//!
//! In: how far connections have come, by their records, by their ends, and by what the loader read after a loss. Out: a
//! loss for each hole, whatever the decoder makes of the connection. Records come in the order they were made, so what is
//! missing before one will not come. A connection that is over, or was given up, may be heard of again: what was told of
//! it is remembered for a while.

use std::sync::Arc;

use http_decode::{Direction, Gap, Timestamp};

use super::{Connection, Correlator, Happening, Observed, tracked::lose_until};
use crate::event::{ConnKey, Origin};

const DIRECTIONS: [Direction; 2] = [Direction::Read, Direction::Write];

impl Correlator {
    /// Notes where a direction of a connection goes on, and tells what is missing before that.
    pub(super) fn lose_until(
        &mut self,
        key: ConnKey,
        direction: Direction,
        position: u64,
        now_ns: u64,
        out: &mut Vec<Observed>,
    ) -> Option<Gap> {
        let tracked = self.connections.find(key)?;
        let gap = tracked.lose_until(direction, position)?;
        let connection = Arc::clone(&tracked.connection);
        self.tell_loss(connection, gap, now_ns, out);
        Some(gap)
    }

    /// Takes how far a connection has come that goes on.
    pub(super) fn take_reached(&mut self, origin: &Origin, positions: [u64; 2], out: &mut Vec<Observed>) {
        if !self.is_tracked(origin, positions, out) {
            return;
        }
        for (direction, position) in DIRECTIONS.into_iter().zip(positions) {
            let gap = self.lose_until(origin.key, direction, position, origin.ts_ns, out);
            if let (Some(gap), Some(tracked)) = (gap, self.connections.find(origin.key)) {
                tracked.decoder.gap(gap);
                tracked.decoder.settle(Timestamp(origin.ts_ns));
            }
        }
        self.collect(origin.key, origin.ts_ns, out);
    }

    /// Takes the end of a connection, which may be all that came of it.
    pub(super) fn take_end(&mut self, origin: &Origin, positions: [u64; 2], out: &mut Vec<Observed>) {
        if self.is_tracked(origin, positions, out) {
            self.end(origin.key, Some(origin.ts_ns), Some(positions), out);
        }
    }

    /// Has a connection tracked that has come so far, unless it departed before; what is missing of that is told.
    fn is_tracked(&mut self, origin: &Origin, positions: [u64; 2], out: &mut Vec<Observed>) -> bool {
        if self.connections.find(origin.key).is_some() {
            return true;
        }
        let Some((connection, moved)) = self.departed.find(origin.key) else {
            if positions != [0; 2] {
                self.begin(origin, out);
            }
            return positions != [0; 2];
        };
        let connection = Arc::clone(connection);
        let lost = |(direction, position)| lose_until(moved, direction, position);
        let gaps: Vec<Gap> = DIRECTIONS.into_iter().zip(positions).filter_map(lost).collect();
        for gap in gaps {
            self.tell_loss(Arc::clone(&connection), gap, origin.ts_ns, out);
        }
        false
    }

    fn tell_loss(&mut self, connection: Arc<Connection>, gap: Gap, now_ns: u64, out: &mut Vec<Observed>) {
        self.counters.missing_bytes = self.counters.missing_bytes.saturating_add(gap.bytes().unwrap_or(0));
        out.push(Observed {
            time: self.clock.time(now_ns),
            connection,
            happening: Happening::Loss(gap),
        });
    }
}
