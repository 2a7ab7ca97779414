//! The life of processes and connections: forks, executed programs, exits, ends of connections and closed sockets.

use std::sync::Arc;

use http_decode::{Direction, Ended, Timestamp};

use super::{
    Correlator, Observed, ObservedKind,
    endings::{Due, Ending},
    tracked::transport,
};
use crate::event::{Change, ConnKey, Origin, ProcessChange, SocketFacts, TlsFacts};

impl Correlator {
    pub(super) fn push_change(&mut self, origin: &Origin, change: ProcessChange, out: &mut Vec<Observed>) {
        let pid = origin.key.tgid;
        let ProcessChange { change, name } = change;
        match change {
            Change::Forked { parent } => {
                // A process with this id has ended, even if the record of its end was lost.
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
            Change::FirstHit => self.name_process(pid, name),
            Change::Ended => {
                self.end_connections(pid, u64::MAX, None, out);
                self.processes.forget(pid);
            }
        }
    }

    pub(super) fn name_process(&mut self, pid: u32, name: String) {
        self.make_room_for_process(pid);
        self.processes.name(pid, name);
    }

    /// Ends the connections of a process that began before `before_ns`, at `at_ns`.
    fn end_connections(&mut self, pid: u32, before_ns: u64, at_ns: Option<u64>, out: &mut Vec<Observed>) {
        for key in self.connections.of_process(pid) {
            if key.generation < before_ns {
                self.end(key, at_ns, None, out);
            }
        }
    }

    /// Forgets the processes without connections if another one does not fit. The bound is only reached if records of
    /// exits were lost, so most of them have ended.
    pub(super) fn make_room_for_process(&mut self, pid: u32) {
        if self.processes.is_full() && !self.processes.knows(pid) {
            let connections = &self.connections;
            let forgotten = self.processes.retain(|known| connections.has_process(known));
            self.counters.processes_forgotten += forgotten;
        }
    }

    pub(super) fn push_tls(&mut self, origin: &Origin, facts: TlsFacts, out: &mut Vec<Observed>) {
        self.track(origin, out);
        if let Some(tracked) = self.connections.find(origin.key) {
            tracked.set_server_name(&facts);
            tracked.tls = Some(facts).filter(|_| self.summarize);
        }
    }

    /// Processes the close of a socket. It does not end the connection: the process may still read what the library has
    /// decrypted.
    pub(super) fn push_socket(&mut self, origin: &Origin, facts: SocketFacts, out: &mut Vec<Observed>) {
        if !self.summarize {
            return;
        }
        if let Some(mut ending) = self.endings.take(origin.key) {
            ending.summary.transport = Some(transport(facts, &self.clock));
            ending.at_ns = ending.at_ns.max(origin.ts_ns);
            self.emit_summary(ending, out);
        } else if let Some(tracked) = self.connections.find(origin.key) {
            tracked.socket = Some((origin.ts_ns, facts));
            self.endings.await_end(origin.key, origin.ts_ns);
        }
    }

    /// Ends a connection at `at_ns`, or when it last moved data if the time of its end is not known.
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
            self.detect_gap(key, Direction::Read, read, at_ns, out);
            self.detect_gap(key, Direction::Write, written, at_ns, out);
        }
        let Some(tracked) = self.connections.find(key) else {
            return;
        };
        tracked.decoder.close(Timestamp(at_ns), Ended::Closed, positions);
        tracked.positions = positions.unwrap_or(tracked.positions);
        tracked.stop_holding(&mut self.counters);
        self.counters.add(&tracked.decoder.counters());
        self.emit_outputs(key, at_ns, out);
        self.summarize_ended(key, at_ns, out);
        self.connections.close(key);
    }

    /// Emits the summary of a connection that has ended, now if its socket is closed, else once it is.
    fn summarize_ended(&mut self, key: ConnKey, at_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key).filter(|_| self.summarize) else {
            return;
        };
        let socket_ns = tracked.socket.map(|(ts_ns, _)| ts_ns);
        let ending = Ending {
            connection: Arc::clone(&tracked.connection),
            summary: tracked.summary(false, &self.clock),
            at_ns: at_ns.max(socket_ns.unwrap_or(0)),
        };
        if socket_ns.is_some() {
            self.emit_summary(ending, out);
        } else {
            self.endings.await_socket(key, ending, self.now_ns);
            self.emit_due(self.now_ns, out);
        }
    }

    /// Emits the summary of a connection that is open at the end of the run.
    pub(super) fn emit_open(&mut self, key: ConnKey, now_ns: u64, out: &mut Vec<Observed>) {
        let Some(tracked) = self.connections.find(key).filter(|_| self.summarize) else {
            return;
        };
        let ending = Ending {
            connection: Arc::clone(&tracked.connection),
            summary: tracked.summary(true, &self.clock),
            at_ns: now_ns,
        };
        self.emit_summary(ending, out);
    }

    /// Emits the summaries of the connections whose wait for their end, or for that of their socket, is over.
    pub(super) fn emit_due(&mut self, now_ns: u64, out: &mut Vec<Observed>) {
        while let Some(Due { key, early }) = self.endings.next_due(now_ns) {
            if let Some(ending) = self.endings.take(key) {
                self.counters.endings_early += u64::from(early);
                self.emit_summary(ending, out);
            } else if let Some((closed_ns, _)) = self.connections.find(key).and_then(|tracked| tracked.socket) {
                self.counters.endings_early += u64::from(early);
                self.end(key, Some(closed_ns), None, out);
            }
        }
    }

    fn emit_summary(&self, ending: Ending, out: &mut Vec<Observed>) {
        let Ending {
            connection,
            summary,
            at_ns,
        } = ending;
        out.push(Observed {
            time: self.clock.time(at_ns),
            connection,
            kind: ObservedKind::Connection(summary),
        });
    }
}
