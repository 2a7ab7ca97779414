//! A connection that is being decoded, and what is known of it so far.
//!
//! In: its facts, one after the other. Out: the connection as it is now, and a summary at its end. Refuses to forget
//! addresses that were known, unless the descriptor they came from is given anew, and lets what happens wait a moment for
//! addresses that are about to be. What `/proc` said of a descriptor is believed once the connection goes on after that:
//! until then another socket may have been there. A program that closes the descriptor, opens another socket in its
//! place, and still reads what the library had decrypted before, would be believed wrongly; nothing else would.

use std::sync::Arc;

use http_decode::{Chunk, Connection as Decoder, Direction, Gap, GapCause, STRETCH, Settings, Timestamp};

use super::{Connection, ConnectionSummary, Transport, clock::Clock, counters::Counters, early::EarlyData};
use crate::{
    event::{Basis, Data, Early, Facts, SocketFacts, TlsFacts},
    limits::{ADDRESS_NS, MAX_ADDRESS_BYTES},
};

/// A connection and its decoder.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) connection: Arc<Connection>,
    pub(super) decoder: Decoder,
    pub(super) last_ns: u64,
    pub(super) exchanges: u64,
    /// Positions behind the last bytes that were read and written.
    pub(super) moved: [u64; 2],
    pub(super) tls: Option<TlsFacts>,
    pub(super) socket: Option<(u64, SocketFacts)>,
    /// What waits until it is known whether it counts.
    pub(super) early: EarlyData,
    wait: Wait,
    /// The descriptor, where no more than that is known, and since when.
    descriptor: Option<(i32, u64)>,
    /// What `/proc` said of it, and when.
    found: Option<(u64, Facts)>,
    /// What the decoder held when it was last asked.
    pub(super) held: usize,
    /// When the connection is looked at again.
    pub(super) due_ns: Option<u64>,
}

/// Whether what happens waits for addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// Nothing waits: they are known, or will not come.
    Over,
    /// What happens first will wait.
    Ready,
    /// What happened waits until then.
    Until(u64),
}

impl Tracked {
    /// Begins; nobody has told the connection's facts yet, which come before anything else unless they were lost.
    pub(super) fn new(connection: Connection, settings: Settings, now_ns: u64) -> Self {
        Self {
            connection: Arc::new(connection),
            decoder: Decoder::new(settings),
            last_ns: now_ns,
            exchanges: 0,
            moved: [0; 2],
            tls: None,
            socket: None,
            early: EarlyData::default(),
            wait: Wait::Until(now_ns.saturating_add(ADDRESS_NS)),
            descriptor: None,
            found: None,
            held: 0,
            due_ns: None,
        }
    }

    /// Takes facts of a moment, unless they know less than what is known.
    pub(super) fn learn(&mut self, facts: Facts, at_ns: u64, own_netns: u32) {
        match facts.basis {
            Basis::Memory => {}
            Basis::Descriptor(descriptor) => {
                self.descriptor = Some((descriptor, at_ns));
                self.found = None;
                let connection = Arc::make_mut(&mut self.connection);
                (connection.local, connection.remote) = (None, None);
            }
            Basis::Proc(descriptor) => {
                // What was asked of another descriptor, or before this one was given, says nothing of it.
                if self
                    .descriptor
                    .is_some_and(|(own, since_ns)| own == descriptor && since_ns < at_ns)
                {
                    self.found = Some((at_ns, facts));
                    self.confirm(self.last_ns, own_netns);
                }
                return;
            }
        }
        self.adopt(facts, own_netns);
    }

    /// Believes what `/proc` said, if the connection has gone on after that.
    pub(super) fn confirm(&mut self, at_ns: u64, own_netns: u32) {
        if let Some((_, facts)) = self.found.take_if(|(asked_ns, _)| *asked_ns < at_ns) {
            self.adopt(facts, own_netns);
        }
    }

    fn adopt(&mut self, facts: Facts, own_netns: u32) {
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
        self.wait = match (pending, self.wait) {
            (false, _) => Wait::Over,
            (true, waiting @ Wait::Until(_)) if self.decoder.queued_bytes() > 0 => waiting,
            (true, _) => Wait::Ready,
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
        // Records come in the order they were made, so what is missing now will not come.
        if self.decoder.unsettled() {
            self.decoder.settle(Timestamp(data.at_ns));
        }
    }

    /// Decodes early data that was taken, now that this is known, and forgets what was not; returns how many bytes that were.
    pub(super) fn decide_early(&mut self, early: Early) -> u64 {
        let refused = self.early.bytes();
        let held = self.early.take();
        if early == Early::Refused {
            return refused.try_into().unwrap_or(u64::MAX);
        }
        for piece in held {
            self.push(piece.tid, &piece.data());
        }
        0
    }

    /// Notes how far a direction has come.
    pub(super) fn count(&mut self, data: &Data<'_>) {
        let bytes = data.bytes.len().try_into().unwrap_or(u64::MAX);
        let end = data.position.saturating_add(bytes).saturating_add(data.over_limit);
        self.reach(data.direction, end);
    }

    /// Notes that a direction goes on from a position which it had come beyond: what was there was refused early data.
    pub(super) fn rewind(&mut self, direction: Direction, position: u64) {
        let moved = moved_of(&mut self.moved, direction);
        *moved = position.min(*moved);
    }

    /// Notes that a direction has come up to a position.
    pub(super) fn reach(&mut self, direction: Direction, end: u64) {
        let moved = moved_of(&mut self.moved, direction);
        *moved = end.max(*moved);
    }

    /// Notes where a direction goes on. What is missing before that is lost, and given: records come in the order they
    /// were made.
    pub(super) fn lose_until(&mut self, direction: Direction, position: u64) -> Option<Gap> {
        lose_until(&mut self.moved, direction, position)
    }

    /// Notes that the connection goes on.
    pub(super) fn go_on(&mut self, at_ns: u64, own_netns: u32) {
        self.last_ns = at_ns;
        self.confirm(at_ns, own_netns);
    }

    /// Tells whether what the decoder has to say has to wait for the connection's addresses.
    pub(super) fn waits(&mut self, now_ns: u64, counters: &mut Counters) -> bool {
        let queued = self.decoder.queued_bytes();
        if self.wait == Wait::Over || queued == 0 {
            return false;
        }
        let until_ns = match self.wait {
            Wait::Until(until_ns) => until_ns,
            Wait::Over | Wait::Ready => now_ns.saturating_add(ADDRESS_NS),
        };
        self.wait = Wait::Until(until_ns);
        if now_ns < until_ns && queued <= MAX_ADDRESS_BYTES {
            return true;
        }
        self.wait = Wait::Over;
        counters.addresses_late += 1;
        false
    }

    /// Lets nothing wait any longer, since nothing more will be learned.
    pub(super) fn stop_waiting(&mut self, counters: &mut Counters) {
        if matches!(self.wait, Wait::Until(_)) && self.connection.local.is_none() && self.decoder.queued_bytes() > 0 {
            counters.addresses_never += 1;
        }
        self.wait = Wait::Over;
    }

    /// Notes whom the connection is for, once its first bytes have said so.
    pub(super) fn note_proxied(&mut self) {
        let proxied = self.decoder.proxied();
        if proxied.is_some() && self.connection.proxied != proxied {
            Arc::make_mut(&mut self.connection).proxied = proxied;
        }
    }

    /// Says when it wants to be looked at again.
    pub(super) fn next_due(&self) -> Option<u64> {
        let tick = self.decoder.next_tick().map(|due| due.0);
        let wait = match self.wait {
            Wait::Until(until_ns) if self.decoder.queued_bytes() > 0 => Some(until_ns),
            Wait::Over | Wait::Ready | Wait::Until(_) => None,
        };
        tick.into_iter().chain(wait).min()
    }

    /// Sums it up; `open` if it goes on, and the wall clock.
    pub(super) fn summary(&self, open: bool, clock: &Clock) -> Box<ConnectionSummary> {
        Box::new(ConnectionSummary {
            tls: self.tls.clone(),
            transport: self.socket.map(|(_, socket)| transport(socket, clock)),
            moved: self.moved.map(|end| (end < STRETCH).then_some(end)),
            exchanges: self.exchanges,
            open: open && self.socket.is_none(),
        })
    }
}

/// Moves a direction on to a position, and gives what is missing before it.
pub(super) fn lose_until(moved: &mut [u64; 2], direction: Direction, position: u64) -> Option<Gap> {
    let moved = moved_of(moved, direction);
    let lost = (position > *moved).then(|| Gap {
        direction,
        position: *moved,
        span: position - *moved,
        cause: GapCause::Lost,
        at: None,
    });
    *moved = position.max(*moved);
    lost
}

const fn moved_of(moved: &mut [u64; 2], direction: Direction) -> &mut u64 {
    let [read, written] = moved;
    match direction {
        Direction::Read => read,
        Direction::Write => written,
    }
}

/// Puts a socket's last word on the wall clock.
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
