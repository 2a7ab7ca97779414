//! Detects lost bytes from the positions of records, and emits each gap once.
//!
//! Records arrive in the order they were made, so bytes before a position that no record brought are lost. This does not
//! depend on whether the connection can be decoded. A connection from which no data arrives still has positions: its end has
//! them, and after a loss the loader reads them from the kernel. Both may concern a connection that was closed or evicted
//! here, whose positions are therefore remembered.

use std::sync::Arc;

use http_decode::{Direction, Gap, Timestamp};

use super::{Connection, Correlator, Observed, ObservedKind, tracked::detect_gap};
use crate::event::{ConnKey, Origin};

const DIRECTIONS: [Direction; 2] = [Direction::Read, Direction::Write];

impl Correlator {
    /// Advances a direction of a connection to a position, and emits and returns the gap before it.
    pub(super) fn detect_gap(
        &mut self,
        key: ConnKey,
        direction: Direction,
        position: u64,
        now_ns: u64,
        out: &mut Vec<Observed>,
    ) -> Option<Gap> {
        let tracked = self.connections.find(key)?;
        let gap = detect_gap(&mut tracked.positions, direction, position)?;
        let connection = Arc::clone(&tracked.connection);
        self.emit_gap(connection, gap, now_ns, out);
        Some(gap)
    }

    /// Processes the positions of an open connection.
    pub(super) fn push_positions(&mut self, origin: &Origin, positions: [u64; 2], out: &mut Vec<Observed>) {
        if !self.track_unless_closed(origin, positions, out) {
            return;
        }
        for (direction, position) in DIRECTIONS.into_iter().zip(positions) {
            let gap = self.detect_gap(origin.key, direction, position, origin.ts_ns, out);
            if let (Some(gap), Some(tracked)) = (gap, self.connections.find(origin.key)) {
                tracked.decoder.gap(gap);
                tracked.decoder.settle(Timestamp(origin.ts_ns));
            }
        }
        self.emit_outputs(origin.key, origin.ts_ns, out);
    }

    /// Processes the end of a connection, all of whose other records may have been lost.
    pub(super) fn push_end(&mut self, origin: &Origin, positions: [u64; 2], out: &mut Vec<Observed>) {
        if self.track_unless_closed(origin, positions, out) {
            self.end(origin.key, Some(origin.ts_ns), Some(positions), out);
        }
    }

    /// Tracks a connection that is at these positions, and returns whether it is tracked. If it was closed before, only the
    /// gaps up to the positions are emitted. A connection that has moved no data and is not known is ignored.
    fn track_unless_closed(&mut self, origin: &Origin, positions: [u64; 2], out: &mut Vec<Observed>) -> bool {
        if self.connections.find(origin.key).is_some() {
            return true;
        }
        let Some(closed) = self.connections.find_closed(origin.key) else {
            if positions != [0; 2] {
                self.track(origin, out);
            }
            return positions != [0; 2];
        };
        let connection = Arc::clone(&closed.connection);
        let gap = |(direction, position)| detect_gap(&mut closed.positions, direction, position);
        let gaps: Vec<Gap> = DIRECTIONS.into_iter().zip(positions).filter_map(gap).collect();
        for gap in gaps {
            self.emit_gap(Arc::clone(&connection), gap, origin.ts_ns, out);
        }
        false
    }

    fn emit_gap(&mut self, connection: Arc<Connection>, gap: Gap, now_ns: u64, out: &mut Vec<Observed>) {
        self.counters.missing_bytes = self.counters.missing_bytes.saturating_add(gap.bytes().unwrap_or(0));
        out.push(Observed {
            time: self.clock.time(now_ns),
            connection,
            kind: ObservedKind::Gap(gap),
        });
    }
}
