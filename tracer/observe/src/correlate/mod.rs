//! Correlates records with processes and connections, and decodes each connection.
//!
//! Records arrive in the order they were made, so bytes that are missing before a record are lost. Nothing is guessed: an
//! unknown address stays unknown, with the reason. What comes out is not redacted yet, and only
//! [`redact`](crate::redact) can turn it into a line.

mod active;
mod interest;
mod library;
mod function_records;
mod observed;
mod plain;
mod processes;
mod refusals;
mod tracked;
mod closed;
mod key_hash;
mod table;
mod connections;
mod early;
mod endings;
mod life;
mod clock;
mod gaps;
mod skips;
mod counters;

use std::{sync::Arc, time::SystemTime};

use http_decode::{Direction, GapCause, Output, Settings, Timestamp};

use tracer_ebpf::MAX_SITES;

use self::{
    clock::Clock,
    connections::{Bounds, Connections},
    endings::Endings,
    processes::Processes,
    refusals::Sites,
    tracked::Tracked,
};
use crate::{
    batch::{Header, SiteEntry},
    event::{self, AddressSource, Basis, ConnKey, Data, Early, Event, Facts, GapRecord, Origin},
    skip::Skip,
};

pub use active::ActiveRequests;
pub use counters::{Counters, Undecoded};
pub use function_records::FunctionRecords;
pub use interest::Interest;
pub use library::LibraryName;
pub use observed::{Connection, ConnectionSummary, Moment, Observed, ObservedKind, Process, Transport};
pub use refusals::HooksRefused;

/// Decodes the records of all connections.
#[derive(Debug)]
pub struct Correlator {
    settings: Settings,
    clock: Clock,
    own_netns: u32,
    /// Whether a summary is emitted for each connection.
    summarize: bool,
    sites: Sites,
    processes: Processes,
    connections: Connections,
    endings: Endings,
    counters: Counters,
    notes: Vec<String>,
    refusals: Vec<HooksRefused>,
    skips: Vec<Skip>,
    /// The heads that were not taken yet, if they are asked for.
    moments: Option<Vec<Moment>>,
    /// Which connections are of interest, if not all are.
    interest: Option<Interest>,
    /// The time of the latest record.
    now_ns: u64,
}

impl Correlator {
    /// Creates a correlator for a source with this header. If `summarize`, a [`ConnectionSummary`] is emitted for each
    /// connection.
    pub fn new(header: &Header, settings: Settings, summarize: bool) -> Self {
        Self::with_bounds(header, settings, summarize, Bounds::default())
    }

    fn with_bounds(header: &Header, settings: Settings, summarize: bool, bounds: Bounds) -> Self {
        let mut correlator = Self {
            settings,
            clock: Clock::new(header.boot_unix_ns),
            own_netns: header.own_netns,
            summarize,
            sites: Sites::default(),
            processes: Processes::new(bounds.processes),
            endings: Endings::new(bounds.endings),
            connections: Connections::new(bounds),
            counters: Counters::default(),
            notes: Vec::new(),
            refusals: Vec::new(),
            skips: Vec::new(),
            moments: None,
            interest: None,
            now_ns: 0,
        };
        correlator.add_sites(&header.sites);
        for process in &header.processes {
            correlator.name_process(process.pid, process.name.clone());
        }
        correlator
    }

    /// Keeps the heads that are decoded from here on for [`take_moments`](Self::take_moments).
    pub fn keep_moments(&mut self) {
        self.moments.get_or_insert_default();
    }

    /// Removes and returns the heads that were decoded since the last call, in the order of their records.
    pub fn take_moments(&mut self) -> Vec<Moment> {
        self.moments.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns the time of the latest record.
    pub const fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Adds sites, in the order of their indexes. Those over [`MAX_SITES`], which no record can refer to, are dropped.
    pub fn add_sites(&mut self, sites: &[SiteEntry]) {
        let room = MAX_SITES.saturating_sub(self.sites.count());
        self.sites.add(sites.get(..room).unwrap_or(sites));
    }

    /// Sets the wall clock from `at_ns` on; see [`Batch::boot_unix_ns`](crate::batch::Batch::boot_unix_ns).
    pub fn set_clock(&mut self, at_ns: u64, boot_unix_ns: u64) {
        self.clock.sample(at_ns, boot_unix_ns);
    }

    /// Converts a time of the records' clock.
    pub fn time(&self, at_ns: u64) -> SystemTime {
        self.clock.time(at_ns)
    }

    /// Processes a record, and appends what it completes to `out`.
    pub fn push(&mut self, record: &[u8], out: &mut Vec<Observed>) {
        match event::parse(record) {
            Ok((origin, event)) => self.push_event(&origin, event, out),
            Err(event::Error::Unknown) => self.counters.unknown_records += 1,
            Err(event::Error::CutShort) => self.counters.short_records += 1,
        }
    }

    /// Emits what was held until `now_ns`.
    pub fn advance(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        while let Some(key) = self.connections.next_due(now_ns) {
            if let Some(tracked) = self.connections.find(key) {
                tracked.decoder.tick(Timestamp(now_ns));
                self.emit_outputs(key, now_ns, out);
            }
        }
        self.emit_due(now_ns, out);
    }

    /// Ends the run: everything in progress is emitted as it is.
    pub fn finish(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        self.emit_due(u64::MAX, out);
        for key in self.connections.keys() {
            self.finish_decoding(key, now_ns, out);
            self.emit_open(key, now_ns, out);
        }
    }

    /// Returns how many records of data the hooks of each function have brought.
    pub fn function_records(&self) -> &[FunctionRecords] {
        self.sites.records()
    }

    /// Counts the requests whose responses have not ended.
    pub fn active_requests(&self) -> Vec<ActiveRequests> {
        active::count(&self.connections)
    }

    /// Returns the counters of what could not be used so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Removes and returns the notes for the user: one for the first bytes that were not decoded for each reason.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn push_event(&mut self, origin: &Origin, event: Event<'_>, out: &mut Vec<Observed>) {
        self.now_ns = self.now_ns.max(origin.ts_ns);
        match event {
            Event::Data(data) => self.push_data(origin, &data, out),
            Event::Gap(record) => self.push_gap(origin, &record, out),
            Event::Facts(facts) => self.push_facts(origin, facts, out),
            Event::Tls(facts) => self.push_tls(origin, *facts, out),
            Event::End(positions) => self.push_end(origin, positions, out),
            Event::Positions(positions) => self.push_positions(origin, positions, out),
            Event::Socket(facts) => self.push_socket(origin, facts, out),
            Event::Process(change) => self.push_change(origin, change, out),
            Event::Hooks(refusal) => self.push_refusal(origin, refusal),
        }
    }

    fn push_data(&mut self, origin: &Origin, data: &Data<'_>, out: &mut Vec<Observed>) {
        self.sites.count_record(origin.site);
        self.track(origin, out);
        self.rewind_if_rejected(origin.key, data.early, data.direction, data.position);
        self.detect_gap(origin.key, data.direction, data.position, origin.ts_ns, out);
        let Some(tracked) = self.connections.find(origin.key) else {
            return;
        };
        tracked.mark_active(origin.ts_ns, self.own_netns);
        // Early data that is held was captured, so it is not a gap.
        tracked.advance_past(data);
        if data.early == Early::Undecided {
            let dropped = tracked.early.hold(origin.tid, data);
            self.counters.early_bytes += u64::try_from(dropped).unwrap_or(u64::MAX);
        } else {
            self.counters.early_bytes += tracked.resolve_early(data.early);
            tracked.push(origin.tid, data);
            self.judge(origin.key);
            self.announce_skip(origin.key, data.direction);
        }
        self.emit_outputs(origin.key, origin.ts_ns, out);
        if self.connections.update_held(origin.key) {
            self.evict(origin.key, origin.ts_ns, out);
        }
    }

    /// Rewinds a direction to `position` if early data was rejected: the BPF programs count positions anew after it.
    fn rewind_if_rejected(&mut self, key: ConnKey, early: Early, direction: Direction, position: u64) {
        if early == Early::Rejected
            && let Some(tracked) = self.connections.find(key)
        {
            tracked.rewind(direction, position);
        }
    }

    fn push_gap(&mut self, origin: &Origin, record: &GapRecord, out: &mut Vec<Observed>) {
        self.sites.count_record(origin.site);
        self.track(origin, out);
        let GapRecord { gap, from_start, early } = *record;
        self.rewind_if_rejected(origin.key, early, gap.direction, gap.position);
        self.detect_gap(origin.key, gap.direction, gap.position, origin.ts_ns, out);
        let Some(tracked) = self.connections.find(origin.key) else {
            return;
        };
        tracked.mark_active(origin.ts_ns, self.own_netns);
        self.counters.early_bytes += tracked.resolve_early(early);
        tracked.advance_to(gap.direction, gap.position.saturating_add(gap.span));
        let decoder = &mut tracked.decoder;
        if from_start {
            decoder.mark_from_start();
        }
        decoder.gap(gap);
        if decoder.unsettled() {
            decoder.settle(gap.at.unwrap_or(Timestamp(origin.ts_ns)));
        }
        self.announce_skip(origin.key, gap.direction);
        self.emit_outputs(origin.key, origin.ts_ns, out);
    }

    fn push_facts(&mut self, origin: &Origin, facts: Facts, out: &mut Vec<Observed>) {
        // A lookup in /proc may return after the connection has ended, and must not track it again.
        if !matches!(facts.basis, Basis::Proc(_)) {
            self.track(origin, out);
        }
        if let Some(tracked) = self.connections.find(origin.key) {
            tracked.update_facts(facts, origin.ts_ns, self.own_netns);
        }
        self.emit_outputs(origin.key, origin.ts_ns, out);
    }

    /// Tracks a connection, if it is not tracked yet.
    fn track(&mut self, origin: &Origin, out: &mut Vec<Observed>) {
        if self.connections.find(origin.key).is_some() {
            return;
        }
        for key in self.connections.to_evict() {
            self.evict(key, origin.ts_ns, out);
        }
        self.make_room_for_process(origin.key.tgid);
        let (id, process) = self.processes.add_connection(origin.key.tgid);
        let connection = Connection {
            id,
            process,
            tls: self.sites.library(origin.site),
            local: None,
            remote: None,
            source: AddressSource::Unseen,
            proxied: None,
            netns: None,
            server_name: None,
        };
        let mut tracked = Tracked::new(connection, self.settings, origin.ts_ns);
        if self.moments.is_some() {
            tracked.decoder.keep_moments();
        }
        self.connections.insert(origin.key, tracked);
    }

    fn evict(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        self.counters.given_up += 1;
        self.finish_decoding(key, now_ns, out);
        self.connections.close(key);
    }

    /// Emits what a decoder holds, as it is, because no more records are pushed to it.
    fn finish_decoding(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        if let Some(tracked) = self.connections.find(key) {
            tracked.decoder.finish(Timestamp(now_ns));
            tracked.stop_holding(&mut self.counters);
            self.counters.add(&tracked.decoder.counters());
        }
        self.emit_outputs(key, now_ns, out);
    }

    /// Emits the outputs of a decoder, unless they are held until the addresses of the connection are known.
    fn emit_outputs(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        tracked.update_proxied();
        // Heads are not held, so that they stay in the order of the records.
        if let Some(moments) = &mut self.moments {
            let heads = tracked.decoder.take_moments().into_iter();
            moments.extend(heads.map(|moment| Moment {
                connection: Arc::clone(&tracked.connection),
                moment,
            }));
        }
        while !tracked.holds_output(now_ns, &mut self.counters)
            && let Some(output) = tracked.decoder.poll()
        {
            let (at, kind) = match output {
                Output::Exchange(mut exchange) => {
                    tracked.exchanges += 1;
                    plain::set_scheme(&tracked.connection, &mut exchange);
                    (exchange.began.0, ObservedKind::Exchange(exchange))
                }
                Output::End(end) => (end.ended_at.0, ObservedKind::End(end)),
                // `detect_gap` has emitted it.
                Output::Gap(gap) if gap.cause == GapCause::Lost => continue,
                Output::Gap(gap) => {
                    self.counters.missing_bytes = self.counters.missing_bytes.saturating_add(gap.bytes().unwrap_or(0));
                    (now_ns, ObservedKind::Gap(gap))
                }
                Output::Undecoded(direction, position, reason) => {
                    if self.counters.undecoded.count(reason) {
                        let (id, direction) = (&tracked.connection.id, direction_word(direction));
                        let why = counters::describe(reason);
                        self.notes.push(format!(
                            "connection {id}, {direction} from byte {position}: not decoded: {why}"
                        ));
                    }
                    continue;
                }
            };
            let time = self.clock.time(at);
            out.push(Observed {
                time,
                connection: Arc::clone(&tracked.connection),
                kind,
            });
        }
        self.connections.schedule(key);
    }
}

const fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "read",
        Direction::Write => "written",
    }
}

#[cfg(test)]
mod tests;
