//! A tracked connection: its decoder, its addresses, and what its summary needs.
//!
//! Output is held for a moment if the addresses are about to become known. Known addresses are only dropped when the
//! connection gets a new file descriptor.
//!
//! Addresses from `/proc` are used once the connection moves data after the lookup: until then, another socket may have had
//! the descriptor. They are wrong only for a program that closes the descriptor, opens another socket under the same number,
//! and then reads data that the library had decrypted before.

use std::sync::Arc;

use http_decode::{Chunk, Connection as Decoder, Direction, Gap, GapCause, STRETCH, Settings, Timestamp};

use super::{Connection, ConnectionSummary, Transport, clock::Clock, counters::Counters, early::EarlyData};
use crate::{
    event::{Basis, Data, Early, Facts, SocketFacts, TlsFacts},
    limits::{ADDRESS_NS, MAX_ADDRESS_BYTES, MIN_SKIP_BYTES},
};

/// A connection and its decoder.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) connection: Arc<Connection>,
    pub(super) decoder: Decoder,
    pub(super) last_ns: u64,
    pub(super) exchanges: u64,
    /// Positions after the last bytes that were read and written.
    pub(super) positions: [u64; 2],
    /// Positions up to which bytes were announced to be of no interest.
    pub(super) skippable: [u64; 2],
    pub(super) tls: Option<TlsFacts>,
    /// When the socket was closed, and its statistics.
    pub(super) socket: Option<(u64, SocketFacts)>,
    pub(super) early: EarlyData,
    /// Whether it is known if the connection is of interest.
    pub(super) is_judged: bool,
    hold: Hold,
    /// The file descriptor, if only that is known of the socket, and the time of its record.
    descriptor: Option<(i32, u64)>,
    /// The time and the result of a lookup in `/proc` that is not confirmed yet.
    lookup: Option<(u64, Facts)>,
    /// Bytes that the connection held at the last update.
    pub(super) held_bytes: usize,
    /// The earliest time for which the connection is queued.
    pub(super) due_ns: Option<u64>,
}

/// Whether output is held until the addresses are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hold {
    /// It is not: the addresses are known, or will not become known.
    Off,
    /// The next output will be held.
    Armed,
    /// Output is held until that time.
    Until(u64),
}

impl Tracked {
    /// Starts to track a connection. Its first record has its addresses, unless that record was lost.
    pub(super) fn new(connection: Connection, settings: Settings, now_ns: u64) -> Self {
        Self {
            connection: Arc::new(connection),
            decoder: Decoder::new(settings),
            last_ns: now_ns,
            exchanges: 0,
            positions: [0; 2],
            skippable: [0; 2],
            tls: None,
            socket: None,
            early: EarlyData::default(),
            is_judged: false,
            hold: Hold::Until(now_ns.saturating_add(ADDRESS_NS)),
            descriptor: None,
            lookup: None,
            held_bytes: 0,
            due_ns: None,
        }
    }

    /// Updates the addresses. Facts without addresses do not replace known ones.
    pub(super) fn update_facts(&mut self, facts: Facts, at_ns: u64, own_netns: u32) {
        match facts.basis {
            Basis::Memory => {}
            Basis::Descriptor(descriptor) => {
                self.descriptor = Some((descriptor, at_ns));
                self.lookup = None;
                let connection = Arc::make_mut(&mut self.connection);
                (connection.local, connection.remote) = (None, None);
            }
            Basis::Proc(descriptor) => {
                // A lookup of another descriptor, or from before this one was set, is stale.
                if self
                    .descriptor
                    .is_some_and(|(own, since_ns)| own == descriptor && since_ns < at_ns)
                {
                    self.lookup = Some((at_ns, facts));
                    self.confirm_lookup(self.last_ns, own_netns);
                }
                return;
            }
        }
        self.set_facts(facts, own_netns);
    }

    /// Updates the server name from the parameters of a handshake.
    pub(super) fn set_server_name(&mut self, facts: &TlsFacts) {
        if let Some(name) = facts.whole_server_name() {
            Arc::make_mut(&mut self.connection).server_name = Some(name.clone());
        }
    }

    /// Uses the result of a lookup in `/proc` if the connection moved data at `at_ns`, after the lookup.
    fn confirm_lookup(&mut self, at_ns: u64, own_netns: u32) {
        if let Some((_, facts)) = self.lookup.take_if(|(lookup_ns, _)| *lookup_ns < at_ns) {
            self.set_facts(facts, own_netns);
        }
    }

    fn set_facts(&mut self, facts: Facts, own_netns: u32) {
        let Facts {
            addresses,
            source,
            pending,
            netns,
            basis: _,
        } = facts;
        if addresses.is_none() && self.connection.local.is_some() {
            return;
        }
        self.hold = match (pending, self.hold) {
            (false, _) => Hold::Off,
            (true, held @ Hold::Until(_)) if self.decoder.queued_bytes() > 0 => held,
            (true, _) => Hold::Armed,
        };
        let connection = Arc::make_mut(&mut self.connection);
        (connection.local, connection.remote) = addresses.unzip();
        connection.source = source;
        connection.netns = netns.filter(|netns| own_netns != 0 && *netns != own_netns);
    }

    /// Pushes captured bytes into the decoder.
    pub(super) fn push(&mut self, tid: u32, data: &Data<'_>) {
        if data.from_start {
            self.decoder.mark_from_start();
        }
        let chunk = Chunk {
            position: data.position,
            at: Timestamp(data.at_ns),
            origin: tid,
            call_start: data.position == data.call_position,
            bytes: data.bytes,
        };
        self.decoder.push(data.direction, chunk);
        if data.over_limit > 0 {
            let bytes = data.bytes.len().try_into().unwrap_or(u64::MAX);
            self.decoder.gap(Gap {
                direction: data.direction,
                position: data.position.saturating_add(bytes),
                span: data.over_limit,
                cause: GapCause::OverLimit,
                at: None,
            });
        }
        // Records arrive in the order they were made, so bytes that are missing now are lost.
        if self.decoder.unsettled() {
            self.decoder.settle(Timestamp(data.at_ns));
        }
    }

    /// Decodes the early data that is held if it was accepted, else drops it. Returns the number of bytes dropped.
    pub(super) fn resolve_early(&mut self, early: Early) -> u64 {
        if self.early.is_empty() {
            return 0;
        }
        let bytes = self.early.bytes();
        let held = self.early.take();
        if early == Early::Rejected {
            return bytes.try_into().unwrap_or(u64::MAX);
        }
        for piece in held {
            self.push(piece.tid, &piece.data());
        }
        0
    }

    /// Advances a direction past captured bytes.
    pub(super) fn advance_past(&mut self, data: &Data<'_>) {
        let bytes = data.bytes.len().try_into().unwrap_or(u64::MAX);
        let end = data.position.saturating_add(bytes).saturating_add(data.over_limit);
        self.advance_to(data.direction, end);
    }

    /// Advances a direction to a position, unless it is already past it.
    pub(super) fn advance_to(&mut self, direction: Direction, end: u64) {
        let position = position_of(&mut self.positions, direction);
        *position = end.max(*position);
    }

    /// Moves a direction back to a position, if it is past it.
    pub(super) fn rewind(&mut self, direction: Direction, to: u64) {
        let position = position_of(&mut self.positions, direction);
        *position = to.min(*position);
    }

    /// Notes that the bytes of a direction up to `until` are of no interest; returns whether that is to be announced, because
    /// many of them have not been seen.
    pub(super) fn note_skippable(&mut self, direction: Direction, until: u64) -> bool {
        let seen = *position_of(&mut self.positions, direction);
        let announced = position_of(&mut self.skippable, direction);
        let is_news = until > *announced && until.saturating_sub(seen) >= MIN_SKIP_BYTES;
        if is_news {
            *announced = until;
        }
        is_news
    }

    /// Notes that the connection moved data.
    pub(super) fn mark_active(&mut self, at_ns: u64, own_netns: u32) {
        self.last_ns = at_ns;
        self.confirm_lookup(at_ns, own_netns);
    }

    /// Returns whether the output of the decoder is held until the addresses are known.
    pub(super) fn holds_output(&mut self, now_ns: u64, counters: &mut Counters) -> bool {
        let queued = self.decoder.queued_bytes();
        if self.hold == Hold::Off || queued == 0 {
            return false;
        }
        let until_ns = match self.hold {
            Hold::Until(until_ns) => until_ns,
            Hold::Off | Hold::Armed => now_ns.saturating_add(ADDRESS_NS),
        };
        self.hold = Hold::Until(until_ns);
        if now_ns < until_ns && queued <= MAX_ADDRESS_BYTES {
            return true;
        }
        self.hold = Hold::Off;
        counters.addresses_late += 1;
        false
    }

    /// Stops holding output, because the addresses cannot become known any more.
    pub(super) fn stop_holding(&mut self, counters: &mut Counters) {
        if matches!(self.hold, Hold::Until(_)) && self.connection.local.is_none() && self.decoder.queued_bytes() > 0 {
            counters.addresses_never += 1;
        }
        self.hold = Hold::Off;
    }

    /// Copies the addresses of the PROXY protocol header once the decoder has parsed it.
    pub(super) fn update_proxied(&mut self) {
        let proxied = self.decoder.proxied();
        if proxied.is_some() && self.connection.proxied != proxied {
            Arc::make_mut(&mut self.connection).proxied = proxied;
        }
    }

    /// Returns when the decoder is to be ticked or its output is no longer held, whichever is first.
    pub(super) fn next_due(&self) -> Option<u64> {
        let tick = self.decoder.next_tick().map(|due| due.0);
        let hold = match self.hold {
            Hold::Until(until_ns) if self.decoder.queued_bytes() > 0 => Some(until_ns),
            Hold::Off | Hold::Armed | Hold::Until(_) => None,
        };
        tick.into_iter().chain(hold).min()
    }

    /// Returns the summary of the connection; `open` if it has not ended.
    pub(super) fn summary(&self, open: bool, clock: &Clock) -> Box<ConnectionSummary> {
        Box::new(ConnectionSummary {
            tls: self.tls.clone(),
            transport: self.socket.map(|(_, socket)| transport(socket, clock)),
            transferred: self.positions.map(|end| (end < STRETCH).then_some(end)),
            exchanges: self.exchanges,
            open: open && self.socket.is_none(),
        })
    }
}

/// Advances a direction to a position, and returns the gap before it.
pub(super) fn detect_gap(positions: &mut [u64; 2], direction: Direction, position: u64) -> Option<Gap> {
    let current = position_of(positions, direction);
    let gap = (position > *current).then(|| Gap {
        direction,
        position: *current,
        span: position - *current,
        cause: GapCause::Lost,
        at: None,
    });
    *current = position.max(*current);
    gap
}

const fn position_of(positions: &mut [u64; 2], direction: Direction) -> &mut u64 {
    let [read, written] = positions;
    match direction {
        Direction::Read => read,
        Direction::Write => written,
    }
}

/// Converts the statistics of a socket to the wall clock.
pub(super) fn transport(socket: SocketFacts, clock: &Clock) -> Transport {
    let SocketFacts {
        opened_ns,
        received,
        acknowledged,
        rtt_us,
        retransmits,
        ended,
    } = socket;
    Transport {
        opened: opened_ns.map(|opened_ns| clock.time(opened_ns)),
        received,
        acknowledged,
        rtt_us,
        retransmits,
        ended,
    }
}
