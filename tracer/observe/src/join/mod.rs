//! Joins the requests that a gateway received with those that it sent because of them.
//!
//! A join is never guessed. In this order, what joins an upstream request with one of the downstream requests that were
//! open in the same process when it began is: the request id, the trace id, causality in an event loop, and the method and
//! path. If more than one downstream request may be meant, the upstream request is printed alone, with the candidates. While
//! requests may be open that were not seen, an id that a client brought needs another sign. What begins when the response is
//! over is joined by its request id, if no open request may have that.
//!
//! What is joined is not redacted yet, and only [`redact`](crate::redact) can turn it into a line. Nothing here reads a
//! clock: times are those of records.

mod diff;
mod digest;
mod ended;
mod entry;
mod gateway;
mod hop;
mod judge;
mod turn;

use std::collections::BTreeMap;

use self::gateway::Gateway;
use crate::{
    correlate::{Moment, Observed, ObservedKind},
    ids::IdHeaders,
    limits::{ADDRESS_NS, MAX_JOINING, MAX_JOINING_BYTES, MAX_PROCESSES},
};

pub(crate) use diff::{Diff, Side as DiffSide};
pub(crate) use gateway::exchange_id;
pub(crate) use hop::exchange;
pub use hop::{Hop, How, Upstream};

/// Joins exchanges to hops.
#[derive(Debug)]
pub struct Joiner {
    settings: Settings,
    gateways: BTreeMap<u32, Gateway>,
    /// The process of each exchange that is kept, by its serial number.
    kept: BTreeMap<u64, u32>,
    /// Memory of the exchanges that wait, in bytes.
    bytes: usize,
    next_serial: u64,
    forced: u64,
}

/// What the rules depend on.
#[derive(Clone, Debug)]
struct Settings {
    id_headers: IdHeaders,
    /// How long a process is observed before its open requests are known, and, unless addresses take longer, how long a finished
    /// half waits for the other one, in nanoseconds of the records' clock.
    hold_ns: u64,
    bounds: Bounds,
}

impl Settings {
    /// Returns how long a finished half waits for the other one, which may itself be held back until its addresses are known.
    fn wait_ns(&self) -> u64 {
        self.hold_ns.max(ADDRESS_NS)
    }
}

/// The bounds of a joiner.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    exchanges: usize,
    bytes: usize,
}

/// What a joiner emits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Joined {
    /// Exchanges that belong together, or one that is alone.
    Hop(Box<Hop>),
    /// What is no exchange, as it was observed.
    Other(Observed),
}

impl Joiner {
    /// Creates a joiner that finds ids in these headers, and waits this long for the other half of a hop.
    pub fn new(id_headers: IdHeaders, hold_ns: u64) -> Self {
        let bounds = Bounds {
            exchanges: MAX_JOINING,
            bytes: MAX_JOINING_BYTES,
        };
        Self::with_bounds(id_headers, hold_ns, bounds)
    }

    fn with_bounds(id_headers: IdHeaders, hold_ns: u64, bounds: Bounds) -> Self {
        Self {
            settings: Settings {
                id_headers,
                hold_ns,
                bounds,
            },
            gateways: BTreeMap::new(),
            kept: BTreeMap::new(),
            bytes: 0,
            next_serial: 0,
            forced: 0,
        }
    }

    /// Takes note of a head. Heads are given in the order of their records, and before the exchanges that they belong to.
    pub fn note(&mut self, moment: &Moment, now_ns: u64, out: &mut Vec<Joined>) {
        let pid = moment.connection.process.pid;
        let serial = self.next_serial;
        self.make_room(pid);
        let gateway = self
            .gateways
            .entry(pid)
            .or_insert_with(|| Gateway::new(now_ns, &self.settings));
        if gateway.note(serial, moment, &self.settings) {
            self.kept.insert(serial, pid);
            self.next_serial += 1;
        }
        self.keep_within_bounds(now_ns, out);
    }

    /// Takes what was observed.
    pub fn push(&mut self, observed: Observed, now_ns: u64, out: &mut Vec<Joined>) {
        let pid = observed.connection.process.pid;
        self.make_room(pid);
        let gateway = self
            .gateways
            .entry(pid)
            .or_insert_with(|| Gateway::new(now_ns, &self.settings));
        match &observed.kind {
            ObservedKind::Exchange(_) => {
                self.bytes += hop::held_bytes(&observed);
                if let Some(alone) = gateway.add(observed, now_ns, &self.settings) {
                    self.bytes -= hop::held_bytes(&alone);
                    out.push(Joined::Hop(Box::new(Hop::alone(alone))));
                }
            }
            ObservedKind::End(end) => match gateway.end(&observed.connection.id, end) {
                Some(bytes) => self.bytes += bytes,
                None => out.push(Joined::Other(observed)),
            },
            ObservedKind::Gap(gap) => {
                gateway.lose(gap, now_ns.saturating_add(self.settings.hold_ns));
                out.push(Joined::Other(observed));
            }
            ObservedKind::Connection(_) => out.push(Joined::Other(observed)),
        }
        // What has waited is emitted by `advance`, after what was held back until its addresses were known has come.
        self.emit_ready(pid, 0, out);
        self.keep_within_bounds(now_ns, out);
    }

    /// Emits what has waited for long enough at `now_ns`.
    pub fn advance(&mut self, now_ns: u64, out: &mut Vec<Joined>) {
        let due: Vec<u32> = self
            .gateways
            .iter()
            .filter(|(_, gateway)| gateway.due_ns(&self.settings).is_some_and(|due_ns| due_ns <= now_ns))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in due {
            self.emit_ready(pid, now_ns, out);
        }
    }

    /// Emits everything as it is, at the end of the run.
    pub fn finish(&mut self, out: &mut Vec<Joined>) {
        let pids: Vec<u32> = self.gateways.keys().copied().collect();
        for pid in pids {
            self.emit_ready(pid, u64::MAX, out);
        }
    }

    /// Returns the number of exchanges that were emitted before they were joined, because too many were open.
    pub const fn forced(&self) -> u64 {
        self.forced
    }

    /// Forgets the processes of which no exchange is kept, if another one does not fit.
    fn make_room(&mut self, pid: u32) {
        if self.gateways.len() >= MAX_PROCESSES && !self.gateways.contains_key(&pid) {
            self.gateways.retain(|_, gateway| !gateway.is_empty());
        }
    }

    fn emit_ready(&mut self, pid: u32, now_ns: u64, out: &mut Vec<Joined>) {
        let Some(gateway) = self.gateways.get_mut(&pid) else {
            return;
        };
        let mut hops = Vec::new();
        gateway.settle(now_ns, &self.settings, &mut hops);
        self.emit(pid, hops, out);
    }

    /// Emits hops of a process, and forgets what is no longer kept.
    fn emit(&mut self, pid: u32, hops: Vec<Hop>, out: &mut Vec<Joined>) {
        for hop in hops {
            self.bytes = self.bytes.saturating_sub(hop.held_bytes());
            out.push(Joined::Hop(Box::new(hop)));
        }
        if let Some(gateway) = self.gateways.get_mut(&pid) {
            for serial in gateway.take_forgotten() {
                self.kept.remove(&serial);
            }
        }
    }

    /// Gives up the oldest exchanges while there are too many.
    fn keep_within_bounds(&mut self, now_ns: u64, out: &mut Vec<Joined>) {
        let Bounds { exchanges, bytes } = self.settings.bounds;
        while self.kept.len() > exchanges || self.bytes > bytes {
            let Some((serial, pid)) = self.kept.pop_first() else {
                return;
            };
            self.forced += 1;
            let Some(gateway) = self.gateways.get_mut(&pid) else {
                continue;
            };
            // What it asked or was asked for is not known from here on.
            gateway.show_unseen(now_ns.saturating_add(self.settings.hold_ns));
            let hops = gateway.give_up(serial).into_iter().collect();
            self.emit(pid, hops, out);
        }
    }
}

#[cfg(test)]
mod tests;
