//! One process: its open downstream and upstream exchanges.

mod emit;

use std::collections::{BTreeMap, HashMap, VecDeque};

use http_decode::{Direction, End, Exchange, Gap, GapCause, MomentPart, Side};

use super::{
    Hop, Settings,
    digest::{Digests, target},
    ended::{Ended, One},
    entry::{Asking, Candidates, Entry, Turn, Unseen, Verdict},
    hop::{add_end, exchange, held_bytes},
    judge::Evidence,
    turn::{Last, Threads},
};
use crate::correlate::{Moment, Observed};

/// The exchanges of a process.
#[derive(Debug)]
pub(super) struct Gateway {
    /// Until when downstream requests may be open that were not seen.
    settled_ns: u64,
    /// Until when upstream requests may have been made that were not seen.
    asked_settled_ns: u64,
    downstream: BTreeMap<u64, Entry>,
    upstream: BTreeMap<u64, Asking>,
    /// The serial number of each exchange that is kept.
    by_id: HashMap<String, u64>,
    threads: Threads,
    migrates: bool,
    /// The exchanges that have come, by the time.
    waiting: VecDeque<(u64, u64)>,
    forgotten: Vec<u64>,
    ended: Ended,
    /// How long ago an exchange of [`Ended`] may have ended, and how long a finished half waits.
    wait_ns: u64,
    /// The time of the last call that was to emit what has waited.
    settled_at_ns: u64,
}

impl Gateway {
    /// Creates a gateway, of which requests may be open that were not seen.
    pub(super) fn new(now_ns: u64, settings: &Settings) -> Self {
        Self {
            settled_ns: now_ns.saturating_add(settings.hold_ns),
            asked_settled_ns: 0,
            downstream: BTreeMap::new(),
            upstream: BTreeMap::new(),
            by_id: HashMap::new(),
            threads: Threads::default(),
            migrates: false,
            waiting: VecDeque::new(),
            forgotten: Vec::new(),
            ended: Ended::default(),
            wait_ns: settings.wait_ns(),
            settled_at_ns: 0,
        }
    }

    /// Takes note of a head, and returns whether an exchange is kept under `serial` from here on.
    pub(super) fn note(&mut self, serial: u64, moment: &Moment, settings: &Settings) -> bool {
        let Moment { connection, moment } = moment;
        let id = exchange_id(&connection.id, moment.ordinal);
        match &moment.part {
            MomentPart::Request {
                head,
                began,
                from_start,
            } => {
                let entry = Entry {
                    id,
                    began_ns: began.0,
                    head_ns: moment.at.0,
                    thread: moment.origin,
                    digests: Digests::of_request(&settings.id_headers, head),
                    target: target(head),
                    whole: None,
                    seen: false,
                    contested: false,
                    ended_ns: None,
                };
                let reused = reused(moment.ordinal, *from_start);
                self.begin(serial, moment.side, entry, reused);
                true
            }
            MomentPart::Response => {
                self.answer(&id, moment, settings);
                false
            }
        }
    }

    /// Adds an exchange; returns it if its request was not noted, so that nothing can be joined with it.
    pub(super) fn add(&mut self, observed: Observed, now_ns: u64, settings: &Settings) -> Option<Observed> {
        let exchange = exchange(&observed)?;
        let id = exchange_id(&observed.connection.id, exchange.ordinal);
        let serial = self.by_id.get(&id).copied();
        let Some((serial, entry)) = serial.and_then(|serial| Some((serial, self.entry_mut(serial)?))) else {
            if exchange.side == Side::Server {
                self.show_unseen(now_ns.saturating_add(settings.hold_ns));
            }
            return Some(observed);
        };
        entry.digests = Digests::of(&settings.id_headers, exchange);
        entry.seen = true;
        entry.ended_ns = ended_ns(exchange, now_ns);
        entry.whole = Some((Box::new(observed), now_ns));
        self.waiting.push_back((now_ns, serial));
        self.reconsider(serial);
        None
    }

    /// Has upstream exchanges judged again that wait, now that all of an exchange is known: the id may have been made for it.
    fn reconsider(&mut self, serial: u64) {
        for (upstream, asking) in &mut self.upstream {
            if matches!(asking.verdict, Verdict::Awaited(of, _) if of == serial || *upstream == serial) {
                asking.verdict = Verdict::Open;
            }
        }
    }

    /// Adds the end of an exchange that is still to be emitted, and returns the bytes that were added. Returns `None` if the
    /// exchange was emitted before.
    pub(super) fn end(&mut self, connection: &str, end: &End) -> Option<usize> {
        let id = exchange_id(connection, end.ordinal);
        let serial = self.by_id.get(&id).copied()?;
        let entry = self.entry_mut(serial)?;
        entry.ended_ns = Some(end.ended_at.0);
        let Some((observed, _)) = &mut entry.whole else {
            self.forget_if_over(serial);
            return None;
        };
        let before = held_bytes(observed);
        add_end(observed, end);
        Some(held_bytes(observed).saturating_sub(before))
    }

    /// Notes that downstream requests may be open, or may have been open, that were not seen.
    pub(super) fn unsettle(&mut self, until_ns: u64) {
        self.settled_ns = self.settled_ns.max(until_ns);
        for asking in self.upstream.values_mut() {
            asking.candidates.unseen = asking.candidates.unseen.max(Unseen::Possible);
            let has_waited = asking.entry.has_waited(self.wait_ns, self.settled_at_ns);
            if !has_waited && matches!(asking.verdict, Verdict::Joined(..)) {
                // One that was not seen may be meant, so that more is needed to join it.
                asking.verdict = Verdict::Open;
            }
        }
    }

    /// Notes that a downstream request was open that was not seen, or is forgotten.
    pub(super) fn show_unseen(&mut self, until_ns: u64) {
        self.unsettle(until_ns);
        for asking in self.upstream.values_mut() {
            asking.candidates.unseen = Unseen::Shown;
            if matches!(asking.verdict, Verdict::Awaited(..)) {
                asking.verdict = Verdict::Open;
            }
        }
    }

    /// Handles missing bytes. What the process read may be requests of clients, and what it wrote requests upstream.
    pub(super) fn lose(&mut self, gap: &Gap, until_ns: u64) {
        match (gap.direction, gap.cause) {
            (Direction::Read, _) => self.unsettle(until_ns),
            // A file is content.
            (Direction::Write, GapCause::Sendfile) => {}
            (Direction::Write, _) => {
                self.asked_settled_ns = self.asked_settled_ns.max(until_ns);
                for asking in self.upstream.values_mut() {
                    asking.candidates.unseen_asked = true;
                }
            }
        }
    }

    /// Emits what is ready at `now_ns`.
    pub(super) fn settle(&mut self, now_ns: u64, settings: &Settings, hops: &mut Vec<Hop>) {
        // At the end of the run nothing has waited for long enough.
        if now_ns != u64::MAX {
            self.settled_at_ns = self.settled_at_ns.max(now_ns);
        }
        self.judge_all();
        let mut due = Vec::new();
        while let Some((came_ns, serial)) = self.waiting.front().copied()
            && came_ns.saturating_add(settings.wait_ns()) <= now_ns
        {
            self.waiting.pop_front();
            due.push(serial);
        }
        // Upstream exchanges first, so that a hop has those that are decided with it.
        due.sort_by_key(|serial| self.downstream.contains_key(serial));
        for serial in due {
            self.force(serial, now_ns, hops);
        }
        self.emit_ready(hops);
        self.sweep();
    }

    /// Returns whether no exchange is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.downstream.is_empty() && self.upstream.is_empty()
    }

    /// Drops the times of exchanges that do not wait any more, once they are most of them.
    fn sweep(&mut self) {
        if self.waiting.len() <= 2 * (self.downstream.len() + self.upstream.len()) + LEAST_SWEPT {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|(_, serial)| self.entry_mut(*serial).is_some_and(|entry| entry.waits()));
        self.waiting = waiting;
    }

    /// Returns when [`settle`](Self::settle) is to be called at the latest.
    pub(super) fn due_ns(&self, settings: &Settings) -> Option<u64> {
        let (came_ns, _) = self.waiting.front()?;
        Some(came_ns.saturating_add(settings.wait_ns()))
    }

    /// Gives up an exchange: it is emitted as it is if it has come, and forgotten.
    pub(super) fn give_up(&mut self, serial: u64) -> Option<Hop> {
        let hop = if self.upstream.contains_key(&serial) {
            self.decide(serial);
            self.emit_alone(serial)
        } else {
            let hop = self.emit_hop(serial);
            if let Some(entry) = self.downstream.remove(&serial) {
                self.by_id.remove(&entry.id);
            }
            hop
        };
        if let Some(asking) = self.upstream.remove(&serial) {
            self.by_id.remove(&asking.entry.id);
        }
        hop
    }

    /// Removes and returns the serial numbers that are not kept any more.
    pub(super) fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    fn entry_mut(&mut self, serial: u64) -> Option<&mut Entry> {
        match self.downstream.get_mut(&serial) {
            Some(entry) => Some(entry),
            None => self.upstream.get_mut(&serial).map(|asking| &mut asking.entry),
        }
    }

    fn begin(&mut self, serial: u64, side: Side, entry: Entry, reused: Option<bool>) {
        self.by_id.insert(entry.id.clone(), serial);
        match side {
            Side::Server => {
                self.threads.replace(entry.thread, Last::Asked(serial));
                self.downstream.insert(serial, entry);
            }
            Side::Client => {
                let before = self.threads.replace(entry.thread, Last::Other);
                let turn = match before {
                    Last::Asked(asked) => Turn::Asked(asked),
                    Last::Answered(_) | Last::Other => Turn::None,
                };
                let asking = Asking {
                    candidates: self.candidates(&entry),
                    entry,
                    reused,
                    turn,
                    verdict: Verdict::Open,
                };
                self.upstream.insert(serial, asking);
                // An id decides at once, while all that are open are at hand.
                let verdict = self.evidence(serial).map(|evidence| evidence.judge());
                self.set_verdict(serial, verdict);
            }
        }
    }

    /// Finds the downstream exchanges that were open when an upstream request began.
    fn candidates(&self, asking: &Entry) -> Candidates {
        let mut candidates = Candidates {
            unseen: if asking.began_ns < self.settled_ns {
                Unseen::Possible
            } else {
                Unseen::None
            },
            unseen_asked: asking.began_ns < self.asked_settled_ns,
            ..Candidates::default()
        };
        let mut has_same_id = false;
        for (serial, entry) in &self.downstream {
            if entry.is_open_at(asking.began_ns) {
                let same = entry.target.is_none() || asking.target.is_none() || entry.target == asking.target;
                let (own, asked) = (&entry.digests, &asking.digests);
                let same_id = own.same_request_id(asked) || own.same_trace_id(asked);
                candidates.add(*serial, same, same_id);
                has_same_id |= same_id;
            }
        }
        if asking.digests.has_request_id() && !has_same_id {
            candidates.ended = self.ended_with_id(asking);
        }
        candidates
    }

    /// Finds the only downstream exchange with a request id that had ended a short time before.
    fn ended_with_id(&self, asking: &Entry) -> Option<One> {
        let since_ns = asking.began_ns.saturating_sub(self.wait_ns);
        let is_it = |one: &One| (since_ns..asking.began_ns).contains(&one.ended_ns);
        let kept = self
            .downstream
            .iter()
            .filter(|(_, entry)| entry.digests.same_request_id(&asking.digests))
            .filter_map(|(serial, entry)| entry.as_ended(*serial));
        let emitted = self.ended.with_id(&asking.digests, since_ns).cloned();
        let mut found = kept.chain(emitted).filter(is_it);
        let first = found.next()?;
        found.all(|other| other.serial == first.serial).then_some(first)
    }

    /// Handles the head of a response.
    fn answer(&mut self, id: &str, moment: &http_decode::Moment, settings: &Settings) {
        let (side, thread) = (moment.side, moment.origin);
        let Some(serial) = self.by_id.get(id).copied() else {
            self.threads.replace(thread, Last::Other);
            if side == Side::Server {
                self.show_unseen(moment.at.0.saturating_add(settings.hold_ns));
            }
            return;
        };
        let last = match side {
            Side::Server => Last::Other,
            Side::Client => Last::Answered(serial),
        };
        let before = self.threads.replace(thread, last);
        self.migrates |= self.entry_mut(serial).is_some_and(|entry| entry.thread != thread);
        if side == Side::Server {
            let in_turn = |asking: &Asking| asking.turn == Turn::Asked(serial);
            let asked: Vec<u64> = self
                .upstream
                .iter()
                .filter(|(_, asking)| in_turn(asking))
                .map(|(asked, _)| *asked)
                .collect();
            for asked in asked {
                if let Some(asking) = self.upstream.get_mut(&asked) {
                    let follows = before == Last::Answered(asked);
                    asking.turn = if follows { Turn::Answered(serial) } else { Turn::None };
                }
                self.contest(asked);
            }
        }
    }

    /// Notes on the candidates of an upstream exchange that it may belong to any of them, if nothing shows to which.
    fn contest(&mut self, serial: u64) {
        let Some(asking) = self.upstream.get(&serial) else {
            return;
        };
        let is_joined = matches!(asking.verdict, Verdict::Joined(..));
        let shows_nothing = asking.turn == Turn::None || matches!(asking.verdict, Verdict::Ambiguous(_));
        if shows_nothing && !is_joined {
            for candidate in &asking.candidates.same {
                if let Some(entry) = self.downstream.get_mut(candidate) {
                    entry.contested = true;
                }
            }
        }
    }

    fn judge_all(&mut self) {
        let open: Vec<u64> = self
            .upstream
            .iter()
            .filter(|(_, asking)| asking.verdict == Verdict::Open)
            .map(|(serial, _)| *serial)
            .collect();
        for serial in open {
            let verdict = self.evidence(serial).map(|evidence| evidence.judge());
            self.set_verdict(serial, verdict);
        }
    }

    /// Decides about an upstream exchange with what is known.
    fn decide(&mut self, serial: u64) {
        let verdict = self.evidence(serial).map(|evidence| match evidence.judge() {
            Verdict::Open | Verdict::Awaited(..) => evidence.ambiguous(),
            verdict @ (Verdict::Joined(..) | Verdict::Ambiguous(_)) => verdict,
        });
        self.set_verdict(serial, verdict);
    }

    fn evidence(&self, serial: u64) -> Option<Evidence<'_>> {
        let asking = self.upstream.get(&serial)?;
        Some(Evidence {
            asking,
            downstream: &self.downstream,
            upstream: &self.upstream,
            migrates: self.migrates,
            has_waited: asking.entry.has_waited(self.wait_ns, self.settled_at_ns),
        })
    }

    fn set_verdict(&mut self, serial: u64, verdict: Option<Verdict>) {
        if let (Some(asking), Some(verdict)) = (self.upstream.get_mut(&serial), verdict) {
            if matches!(asking.verdict, Verdict::Open | Verdict::Awaited(..)) {
                asking.verdict = verdict;
            }
            self.contest(serial);
        }
    }
}

/// The length up to which the queue of times is never swept.
const LEAST_SWEPT: usize = 64;

/// Returns whether a connection had been used before an exchange, if that is known.
const fn reused(ordinal: u64, from_start: bool) -> Option<bool> {
    match (ordinal, from_start) {
        (1, true) => Some(false),
        (1, false) => None,
        _ => Some(true),
    }
}

fn ended_ns(exchange: &Exchange, now_ns: u64) -> Option<u64> {
    exchange.ended?;
    Some(exchange.ended_at.map_or(now_ns, |at| at.0))
}

/// Returns the id of an exchange in lines of output.
pub(crate) fn exchange_id(connection: &str, ordinal: u64) -> String {
    let mut id = String::with_capacity(connection.len() + 12);
    id.push_str(connection);
    id.push('-');
    id.push_str(itoa::Buffer::new().format(ordinal));
    id
}
