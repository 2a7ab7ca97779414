//! Around an exchange: its process, its connection, its clock on the wall.
//!
//! In: records in the order they were made. Out: [`Observed`]. Refuses to guess: an unknown peer stays unknown, with
//! the reason. Nothing that comes out can be printed before it went through `redact`.

mod observed;
mod processes;
mod tracked;
mod connections;
mod early;
mod endings;
mod life;
mod clock;
mod losses;
mod counters;

use std::{sync::Arc, time::SystemTime};

use http_decode::{Direction, GapCause, Output, Settings, Timestamp};

use symbolizer::Family;
use tracer_ebpf::MAX_SITES;

use self::{
    clock::Clock,
    connections::{Bounds, Connections},
    endings::Endings,
    losses::Departed,
    processes::Processes,
    tracked::Tracked,
};
use crate::{
    event::{self, Basis, ConnKey, Data, Early, Event, Facts, Origin, Passed},
    limits::MAX_DEPARTED,
    source::{Header, SiteEntry},
};

pub use counters::{Counters, Undecoded};
pub use observed::{Address, AddressSource, Connection, ConnectionSummary, Happening, Observed, Process, Transport};

/// Decodes connections and tells what happened on them.
#[derive(Debug)]
pub struct Correlator {
    settings: Settings,
    clock: Clock,
    own_netns: u32,
    /// Whether the ends of connections are told.
    tells_connections: bool,
    libraries: Vec<&'static str>,
    processes: Processes,
    connections: Connections,
    endings: Endings,
    departed: Departed,
    counters: Counters,
    notes: Vec<String>,
    /// The time of the latest record.
    now_ns: u64,
}

impl Correlator {
    /// Begins with what the header says of processes, sites and the clock; `connections` asks for their ends, too.
    pub fn new(header: &Header, settings: Settings, connections: bool) -> Self {
        Self::bounded(header, settings, connections, Bounds::default())
    }

    fn bounded(header: &Header, settings: Settings, connections: bool, bounds: Bounds) -> Self {
        let mut correlator = Self {
            settings,
            clock: Clock::new(header.boot_unix_ns),
            own_netns: header.own_netns,
            tells_connections: connections,
            libraries: Vec::new(),
            processes: Processes::new(bounds.processes),
            endings: Endings::new(bounds.endings),
            departed: Departed::new(MAX_DEPARTED),
            connections: Connections::new(bounds),
            counters: Counters::default(),
            notes: Vec::new(),
            now_ns: 0,
        };
        correlator.add_sites(&header.sites);
        for process in &header.processes {
            correlator.name_process(process.pid, process.name.clone());
        }
        correlator
    }

    /// Takes the next sites, in the order of their indexes; no record has an index beyond [`MAX_SITES`].
    pub fn add_sites(&mut self, sites: &[SiteEntry]) {
        let room = MAX_SITES.saturating_sub(self.libraries.len());
        let names = sites.iter().map(|site| library_name(&site.library));
        self.libraries.extend(names.take(room));
    }

    /// Takes what the wall clock showed, at a moment of the records' clock, when that was zero.
    pub fn set_clock(&mut self, at_ns: u64, boot_unix_ns: u64) {
        self.clock.sample(at_ns, boot_unix_ns);
    }

    /// The time of a moment of the records' clock.
    pub fn time(&self, at_ns: u64) -> SystemTime {
        self.clock.time(at_ns)
    }

    /// Takes a record.
    pub fn take(&mut self, record: &[u8], out: &mut Vec<Observed>) {
        match event::parse(record) {
            Ok((origin, event)) => self.take_event(&origin, event, out),
            Err(event::Error::Unknown) => self.counters.unknown_records += 1,
            Err(event::Error::CutShort) => self.counters.short_records += 1,
        }
    }

    /// Lets time pass: what was held long enough comes out.
    pub fn advance(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        while let Some(key) = self.connections.next_due(now_ns) {
            if let Some(tracked) = self.connections.find(key) {
                tracked.decoder.tick(Timestamp(now_ns));
                self.collect(key, now_ns, out);
            }
        }
        self.tell_due(now_ns, out);
    }

    /// Ends the observation: whatever goes on comes out as it stands.
    pub fn finish(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        self.tell_due(u64::MAX, out);
        for key in self.connections.keys() {
            self.finish_decoding(key, now_ns, out);
            self.tell_open(key, now_ns, out);
        }
    }

    /// What could not be used so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes what the user should be told at once: the first stretch that was not decoded, for each reason.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn take_event(&mut self, origin: &Origin, event: Event<'_>, out: &mut Vec<Observed>) {
        self.now_ns = self.now_ns.max(origin.ts_ns);
        match event {
            Event::Data(data) => self.take_data(origin, &data, out),
            Event::Passed(passed) => self.take_passed(origin, &passed, out),
            Event::Facts(facts) => self.take_facts(origin, facts, out),
            Event::Tls(facts) => self.take_tls(origin, *facts, out),
            Event::End(positions) => self.take_end(origin, positions, out),
            Event::Reached(positions) => self.take_reached(origin, positions, out),
            Event::Socket(facts) => self.take_socket(origin, facts, out),
            Event::Process(change) => self.take_change(origin, change, out),
        }
    }

    fn take_data(&mut self, origin: &Origin, data: &Data<'_>, out: &mut Vec<Observed>) {
        self.begin(origin, out);
        self.rewind_if_refused(origin.key, data.early, data.direction, data.position);
        self.lose_until(origin.key, data.direction, data.position, origin.ts_ns, out);
        let Some(tracked) = self.connections.find(origin.key) else {
            return;
        };
        tracked.go_on(origin.ts_ns, self.own_netns);
        // Also of early data that is held: what was captured is not lost.
        tracked.count(data);
        if data.early == Early::Undecided {
            let dropped = tracked.early.hold(origin.tid, data);
            self.counters.early_bytes += u64::try_from(dropped).unwrap_or(u64::MAX);
        } else {
            self.counters.early_bytes += tracked.decide_early(data.early);
            tracked.push(origin.tid, data);
        }
        self.collect(origin.key, origin.ts_ns, out);
        if self.connections.note_held(origin.key) {
            self.give_up(origin.key, origin.ts_ns, out);
        }
    }

    /// Positions begin anew where early data was refused.
    fn rewind_if_refused(&mut self, key: ConnKey, early: Early, direction: Direction, position: u64) {
        if early == Early::Refused
            && let Some(tracked) = self.connections.find(key)
        {
            tracked.rewind(direction, position);
        }
    }

    fn take_passed(&mut self, origin: &Origin, passed: &Passed, out: &mut Vec<Observed>) {
        self.begin(origin, out);
        let (direction, position) = (passed.gap.direction, passed.gap.position);
        self.rewind_if_refused(origin.key, passed.early, direction, position);
        self.lose_until(origin.key, direction, position, origin.ts_ns, out);
        let Some(tracked) = self.connections.find(origin.key) else {
            return;
        };
        let Passed { gap, from_start, early } = *passed;
        tracked.go_on(origin.ts_ns, self.own_netns);
        self.counters.early_bytes += tracked.decide_early(early);
        tracked.reach(gap.direction, gap.position.saturating_add(gap.span));
        let decoder = &mut tracked.decoder;
        if from_start {
            decoder.mark_from_start();
        }
        decoder.gap(gap);
        if decoder.unsettled() {
            decoder.settle(gap.at.unwrap_or(Timestamp(origin.ts_ns)));
        }
        self.collect(origin.key, origin.ts_ns, out);
    }

    fn take_facts(&mut self, origin: &Origin, facts: Facts, out: &mut Vec<Observed>) {
        // What was asked may be answered when the connection has ended.
        if !matches!(facts.basis, Basis::Proc(_)) {
            self.begin(origin, out);
        }
        if let Some(tracked) = self.connections.find(origin.key) {
            tracked.learn(facts, origin.ts_ns, self.own_netns);
        }
        self.collect(origin.key, origin.ts_ns, out);
    }

    /// Begins a connection that was not seen before.
    fn begin(&mut self, origin: &Origin, out: &mut Vec<Observed>) {
        if self.connections.find(origin.key).is_some() {
            return;
        }
        for key in self.connections.to_make_room() {
            self.give_up(key, origin.ts_ns, out);
        }
        self.make_room_for_process(origin.key.tgid);
        let (id, process) = self.processes.connect(origin.key.tgid);
        let site = usize::try_from(origin.site).unwrap_or(usize::MAX);
        let connection = Connection {
            id,
            process,
            tls: self.libraries.get(site).copied().unwrap_or("unknown"),
            local: None,
            remote: None,
            source: AddressSource::Unseen,
            proxied: None,
            netns: None,
        };
        let mut tracked = Tracked::new(connection, self.settings, origin.ts_ns);
        tracked.moved = self.departed.moved(origin.key);
        self.connections.insert(origin.key, tracked);
    }

    fn give_up(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        self.counters.given_up += 1;
        self.finish_decoding(key, now_ns, out);
        self.depart(key);
    }

    /// Tracks a connection no longer.
    fn depart(&mut self, key: ConnKey) {
        if let Some(tracked) = self.connections.find(key) {
            let (connection, moved) = (Arc::clone(&tracked.connection), tracked.moved);
            self.departed.insert(key, connection, moved);
        }
        self.connections.remove(key);
    }

    /// Takes what a decoder has to say when nothing more will come.
    fn finish_decoding(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        if let Some(tracked) = self.connections.find(key) {
            tracked.decoder.finish(Timestamp(now_ns));
            tracked.stop_waiting(&mut self.counters);
            self.counters.add(&tracked.decoder.counters());
        }
        self.collect(key, now_ns, out);
    }

    /// Takes what a decoder has to say, unless it waits for the connection's addresses.
    fn collect(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        tracked.note_proxied();
        while !tracked.waits(now_ns, &mut self.counters)
            && let Some(output) = tracked.decoder.poll()
        {
            let (at, happening) = match output {
                Output::Exchange(exchange) => {
                    tracked.exchanges += 1;
                    (exchange.began.0, Happening::Exchange(exchange))
                }
                Output::End(end) => (end.ended_at.0, Happening::End(end)),
                // Told when it was seen by the positions.
                Output::Gap(gap) if gap.cause == GapCause::Lost => continue,
                Output::Gap(gap) => {
                    self.counters.missing_bytes = self.counters.missing_bytes.saturating_add(gap.bytes().unwrap_or(0));
                    (now_ns, Happening::Loss(gap))
                }
                Output::Undecoded(direction, position, reason) => {
                    if self.counters.undecoded.count(reason) {
                        let (id, way) = (&tracked.connection.id, way(direction));
                        let why = counters::describe(reason);
                        self.notes.push(format!(
                            "connection {id}, {way} from byte {position}: not decoded: {why}"
                        ));
                    }
                    continue;
                }
            };
            let time = self.clock.time(at);
            out.push(Observed {
                time,
                connection: Arc::clone(&tracked.connection),
                happening,
            });
        }
        self.connections.schedule(key);
    }
}

const fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "read",
        Direction::Write => "written",
    }
}

/// Turns a library's name from a tape into one that lives as long as the program.
fn library_name(name: &str) -> &'static str {
    Family::ALL
        .into_iter()
        .map(Family::name)
        .find(|known| *known == name)
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests;
