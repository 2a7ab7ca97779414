//! How processes and connections come and go.
//!
//! In: changes of processes, ends of connections and of their sockets. Out: what their decoders had left to say, then,
//! where it is asked for, the connection as a whole. Refuses to tell of a connection twice.

use std::sync::Arc;

use http_decode::{Direction, Ended, Timestamp};

use super::{
    Correlator, Happening, Observed,
    endings::{Due, Ending},
    tracked::transport,
};
use crate::event::{Change, ConnKey, Origin, ProcessChange, SocketFacts, TlsFacts};

impl Correlator {
    pub(super) fn take_change(&mut self, origin: &Origin, change: ProcessChange, out: &mut Vec<Observed>) {
        let pid = origin.key.tgid;
        let ProcessChange { change, name } = change;
        match change {
            Change::Forked { parent } => {
                // If the id was used before, the record of that end was lost.
                self.end_connections(pid, origin.ts_ns, None, out);
                self.processes.forget(pid);
                let inherited = || self.processes.name_of(parent).to_owned();
                let name = if name.is_empty() { inherited() } else { name };
                self.name_process(pid, name);
            }
            Change::Executed => {
                self.end_connections(pid, origin.ts_ns, Some(origin.ts_ns), out);
                self.name_process(pid, name);
            }
            Change::Met => self.name_process(pid, name),
            Change::Ended => self.end_process(pid, out),
        }
    }

    pub(super) fn name_process(&mut self, pid: u32, name: String) {
        self.make_room_for_process(pid);
        self.processes.name(pid, name);
    }

    /// Ends a process and forgets it.
    pub(super) fn end_process(&mut self, pid: u32, out: &mut Vec<Observed>) {
        self.end_connections(pid, u64::MAX, None, out);
        self.processes.forget(pid);
    }

    /// Ends what began in a process before a moment.
    fn end_connections(&mut self, pid: u32, before_ns: u64, at_ns: Option<u64>, out: &mut Vec<Observed>) {
        for key in self.connections.of_process(pid) {
            if key.generation < before_ns {
                self.end(key, at_ns, None, out);
            }
        }
    }

    /// Where the ends of so many processes were lost that no more fit, those without connections are taken to have ended.
    pub(super) fn make_room_for_process(&mut self, pid: u32) {
        if self.processes.is_full() && !self.processes.knows(pid) {
            let connections = &self.connections;
            let forgotten = self.processes.forget_but(|known| connections.has_process(known));
            self.counters.processes_forgotten += forgotten;
        }
    }

    pub(super) fn take_tls(&mut self, origin: &Origin, facts: TlsFacts, out: &mut Vec<Observed>) {
        if !self.tells_connections {
            return;
        }
        self.begin(origin, out);
        if let Some(tracked) = self.connections.find(origin.key) {
            tracked.tls = Some(facts);
        }
    }

    /// Takes the last word of a socket; what is left in the library then may still be read.
    pub(super) fn take_socket(&mut self, origin: &Origin, facts: SocketFacts, out: &mut Vec<Observed>) {
        if !self.tells_connections {
            return;
        }
        if let Some(mut ending) = self.endings.take(origin.key) {
            ending.summary.transport = Some(transport(facts, &self.clock));
            ending.at_ns = ending.at_ns.max(origin.ts_ns);
            self.tell(ending, out);
        } else if let Some(tracked) = self.connections.find(origin.key) {
            tracked.socket = Some((origin.ts_ns, facts));
            self.endings.await_end(origin.key, origin.ts_ns);
        }
    }

    /// Ends a connection at a moment; if nobody saw it, at the last that is known.
    pub(super) fn end(
        &mut self,
        key: ConnKey,
        at_ns: Option<u64>,
        positions: Option<[u64; 2]>,
        out: &mut Vec<Observed>,
    ) {
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        let at_ns = at_ns.unwrap_or(tracked.last_ns);
        if let Some([read, written]) = positions {
            self.lose_until(key, Direction::Read, read, at_ns, out);
            self.lose_until(key, Direction::Write, written, at_ns, out);
        }
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        tracked.decoder.close(Timestamp(at_ns), Ended::Closed, positions);
        tracked.moved = positions.unwrap_or(tracked.moved);
        tracked.stop_waiting(&mut self.counters);
        self.counters.add(&tracked.decoder.counters());
        self.collect(key, at_ns, out);
        self.sum_up(key, at_ns, out);
        self.depart(key);
    }

    /// Tells of a connection that has ended as a whole, now or when its socket was closed, too.
    fn sum_up(&mut self, key: ConnKey, at_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key).filter(|_| self.tells_connections) else {
            return;
        };
        let socket_ns = tracked.socket.map(|(ts_ns, _)| ts_ns);
        let ending = Ending {
            connection: Arc::clone(&tracked.connection),
            summary: tracked.summary(false, &self.clock),
            at_ns: at_ns.max(socket_ns.unwrap_or(0)),
        };
        if socket_ns.is_some() {
            self.tell(ending, out);
        } else {
            self.endings.await_socket(key, ending, self.now_ns);
            self.tell_due(self.now_ns, out);
        }
    }

    /// Tells of a connection at the end of the observation.
    pub(super) fn tell_open(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key).filter(|_| self.tells_connections) else {
            return;
        };
        let ending = Ending {
            connection: Arc::clone(&tracked.connection),
            summary: tracked.summary(true, &self.clock),
            at_ns: now_ns,
        };
        self.tell(ending, out);
    }

    /// Tells of the connections whose other half did not come in time.
    pub(super) fn tell_due(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        while let Some(Due { key, early }) = self.endings.next_due(now_ns) {
            if let Some(ending) = self.endings.take(key) {
                self.counters.endings_early += u64::from(early);
                self.tell(ending, out);
            } else if let Some((closed_ns, _)) = self.connections.find(key).and_then(|tracked| tracked.socket) {
                self.counters.endings_early += u64::from(early);
                self.end(key, Some(closed_ns), None, out);
            }
        }
    }

    fn tell(&self, ending: Ending, out: &mut Vec<Observed>) {
        let Ending {
            connection,
            summary,
            at_ns,
        } = ending;
        out.push(Observed {
            time: self.clock.time(at_ns),
            connection,
            happening: Happening::Connection(summary),
        });
    }
}
