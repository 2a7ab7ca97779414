//! Around an exchange: its process, its connection, its clock on the wall.
//!
//! In: records in the order they were made. Out: [`Observed`]. Refuses to guess: an unknown peer stays unknown, with
//! the reason. Nothing that comes out can be printed before it went through `redact`.

mod observed;
mod connections;
mod counters;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_decode::{Chunk, Direction, Ended, Gap, GapCause, Output, Settings, Timestamp};

use symbolizer::Family;

use self::connections::{Bounds, Connections, Tracked};
use crate::{
    event::{self, ConnKey, Data, Event, Facts, Origin},
    source::{Header, Item},
};

pub use counters::{Counters, Undecoded};
pub use observed::{AddressSource, Connection, Happening, Observed, Process};

/// Decodes connections and tells what happened on them.
#[derive(Debug)]
pub struct Correlator {
    settings: Settings,
    boot: SystemTime,
    processes: HashMap<u32, String>,
    libraries: Vec<&'static str>,
    sequences: HashMap<u32, u64>,
    connections: Connections,
    counters: Counters,
    notes: Vec<String>,
}

impl Correlator {
    /// Begins with what the header says of processes, sites and the clock.
    pub fn new(header: &Header, settings: Settings) -> Self {
        Self::bounded(header, settings, Bounds::default())
    }

    fn bounded(header: &Header, settings: Settings, bounds: Bounds) -> Self {
        Self {
            settings,
            boot: SystemTime::UNIX_EPOCH + Duration::from_nanos(header.boot_unix_ns),
            processes: header
                .processes
                .iter()
                .map(|process| (process.pid, process.name.clone()))
                .collect(),
            libraries: header.sites.iter().map(|site| library_name(&site.library)).collect(),
            sequences: HashMap::new(),
            connections: Connections::new(bounds),
            counters: Counters::default(),
            notes: Vec::new(),
        }
    }

    /// Takes what the source gives.
    pub fn take(&mut self, item: Item<'_>, out: &mut Vec<Observed>) {
        match item {
            Item::Record(record) => match event::parse(record) {
                Ok((origin, event)) => self.take_event(&origin, event, out),
                Err(event::Error::Unknown) => self.counters.unknown_records += 1,
                Err(event::Error::CutShort) => self.counters.short_records += 1,
            },
            Item::ProcessEnd(pid) => {
                for key in self.connections.of_process(pid) {
                    self.end(key, None, None, out);
                }
            }
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
    }

    /// Ends the observation: whatever goes on comes out as it stands.
    pub fn finish(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        for key in self.connections.keys() {
            if let Some(tracked) = self.connections.find(key) {
                tracked.decoder.finish(Timestamp(now_ns));
                self.counters.add(&tracked.decoder.counters());
                self.collect(key, now_ns, out);
            }
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
        match event {
            Event::Data(data) => self.take_data(origin, &data, out),
            Event::Facts(facts) => self.take_facts(origin, &facts, out),
            Event::End(positions) => self.end(origin.key, Some(origin.ts_ns), Some(positions), out),
        }
    }

    fn take_data(&mut self, origin: &Origin, data: &Data<'_>, out: &mut Vec<Observed>) {
        self.begin(origin, out);
        let Some(tracked) = self.connections.find(origin.key) else {
            return;
        };
        tracked.last_ns = origin.ts_ns;
        let decoder = &mut tracked.decoder;
        decoder.push(
            data.direction,
            Chunk {
                position: data.position,
                at: Timestamp(data.at_ns),
                origin: origin.tid,
                call_start: data.position == data.call_position,
                bytes: data.bytes,
            },
        );
        let end = data
            .position
            .saturating_add(data.bytes.len().try_into().unwrap_or(u64::MAX));
        if data.over_limit > 0 {
            let cause = GapCause::OverLimit;
            decoder.gap(Gap {
                direction: data.direction,
                position: end,
                bytes: data.over_limit,
                cause,
            });
        }
        // Records come in the order they were made, so what is missing now will not come.
        if decoder.unsettled() {
            decoder.settle(Timestamp(data.at_ns));
        }
        self.collect(origin.key, origin.ts_ns, out);
        if self.connections.note_held(origin.key) {
            self.give_up(origin.key, origin.ts_ns, out);
        }
    }

    fn take_facts(&mut self, origin: &Origin, facts: &Facts, out: &mut Vec<Observed>) {
        self.begin(origin, out);
        if let Some(tracked) = self.connections.find(origin.key) {
            let Facts { local, remote, source } = *facts;
            let known = Connection {
                local,
                remote,
                source,
                ..Connection::clone(&tracked.connection)
            };
            tracked.connection = Arc::new(known);
        }
    }

    /// Begins a connection that was not seen before.
    fn begin(&mut self, origin: &Origin, out: &mut Vec<Observed>) {
        if self.connections.find(origin.key).is_some() {
            return;
        }
        for key in self.connections.to_make_room() {
            self.give_up(key, origin.ts_ns, out);
        }
        let pid = origin.key.tgid;
        let sequence = self.sequences.entry(pid).or_default();
        *sequence += 1;
        let site = usize::try_from(origin.site).unwrap_or(usize::MAX);
        let connection = Connection {
            id: format!("{pid}-{sequence}"),
            process: Process {
                pid,
                name: self.processes.get(&pid).cloned().unwrap_or_default(),
            },
            tls: self.libraries.get(site).copied().unwrap_or("unknown"),
            local: None,
            remote: None,
            source: AddressSource::Unseen,
        };
        self.connections
            .insert(origin.key, Tracked::new(connection, self.settings, origin.ts_ns));
    }

    fn end(&mut self, key: ConnKey, at_ns: Option<u64>, positions: Option<[u64; 2]>, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        // A process that has ended closed its connections at a moment nobody saw: the last that is known.
        let at_ns = at_ns.unwrap_or(tracked.last_ns);
        tracked.decoder.close(Timestamp(at_ns), Ended::Closed, positions);
        self.counters.add(&tracked.decoder.counters());
        self.collect(key, at_ns, out);
        self.connections.remove(key);
    }

    fn give_up(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        self.counters.given_up += 1;
        if let Some(tracked) = self.connections.find(key) {
            tracked.decoder.finish(Timestamp(now_ns));
            self.counters.add(&tracked.decoder.counters());
        }
        self.collect(key, now_ns, out);
        self.connections.remove(key);
    }

    /// Takes what a decoder has to say.
    fn collect(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        while let Some(output) = tracked.decoder.poll() {
            let (at, happening) = match output {
                Output::Exchange(exchange) => (exchange.began.0, Happening::Exchange(exchange)),
                Output::End(end) => (end.ended_at.0, Happening::End(end)),
                Output::Gap(gap) => {
                    self.counters.missing_bytes = self.counters.missing_bytes.saturating_add(gap.bytes);
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
            let time = self.boot + Duration::from_nanos(at);
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
    let families = [Family::OpenSsl, Family::LibreSsl, Family::BoringSsl, Family::AwsLc];
    families
        .into_iter()
        .map(Family::name)
        .find(|known| *known == name)
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests;
