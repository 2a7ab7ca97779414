//! Processes that fork, execute programs and exit.

use std::collections::HashSet;

use super::*;

impl Bench {
    /// Pushes a connection of a process with one exchange, and its end.
    fn exchange_of(&mut self, pid: u32, ssl: u64) {
        let before = std::mem::replace(&mut self.pid, pid);
        self.unknown(ssl, false);
        self.exchange(ssl, 0);
        self.end(ssl, REQUEST.len(), RESPONSE.len());
        self.pid = before;
    }

    fn names(&self) -> Vec<&str> {
        let names = self
            .out
            .iter()
            .map(|observed| observed.connection.process.name.as_str());
        names.collect()
    }
}

#[test]
fn a_process_has_the_name_it_had_when_its_connection_began() {
    let mut bench = Bench::new(Bounds::default());
    bench.change(8, Change::FORKED, PID, "");
    bench.exchange_of(8, 1);
    bench.change(8, Change::EXECUTED, 0, "worker");
    bench.exchange_of(8, 2);
    bench.change(9, Change::FORKED, PID, "helper");
    bench.exchange_of(9, 3);
    bench.change(10, Change::MET, 0, "python3");
    bench.exchange_of(10, 4);
    bench.exchange_of(11, 5);
    assert_eq!(bench.names(), ["nginx", "worker", "helper", "python3", ""]);
}

#[test]
fn executing_a_program_ends_the_connections_of_the_previous_one() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.begin(1);
    // The second connection belongs to the new program, although its record arrives before that of the exec.
    let later = u64::from(u32::MAX);
    bench.unknown(later, false);
    bench.data(later, Way::READ, 0, REQUEST);
    bench.change(PID, Change::EXECUTED, 0, "other");
    let [exchange] = bench.exchanges()[..] else {
        panic!("one exchange")
    };
    assert_eq!(exchange.ended, Some(Ended::Closed));
    assert_eq!(exchange.ended_at.map(|at| at.0), Some(bench.now_ns));
    bench.data(later, Way::WRITE, 0, RESPONSE);
    assert_eq!(bench.ids(), ["7-1", "7-2"]);
}

#[test]
fn the_end_of_a_process_ends_its_connections_at_their_last_data() {
    let mut bench = Bench::new(Bounds::default());
    bench.begin(1);
    let heard_ns = bench.now_ns;
    bench.change(PID, Change::ENDED, 0, "");
    let [exchange] = bench.exchanges()[..] else {
        panic!("one exchange")
    };
    assert_eq!(exchange.ended_at.map(|at| at.0), Some(heard_ns));
}

#[test]
fn a_fork_with_a_known_id_is_another_process() {
    let mut bench = Bench::new(Bounds::default());
    bench.unknown(1, false);
    bench.data(1, Way::READ, 0, REQUEST);
    bench.change(PID, Change::FORKED, 1, "curl");
    bench.exchange_of(PID, 1);
    assert_eq!(
        (bench.ids(), bench.names()),
        (vec!["7-1", "7-2"], vec!["nginx", "curl"])
    );
}

#[test]
fn ten_thousand_children_leak_nothing_and_repeat_no_id() {
    let mut bench = Bench::new(Bounds::default());
    let mut ids = HashSet::new();
    for child in 0..10_000 {
        // As many process ids as a small container may have, used again and again.
        let pid = 8 + child % 300;
        bench.change(pid, Change::FORKED, PID, "nginx");
        bench.exchange_of(pid, 1);
        bench.change(pid, Change::ENDED, 0, "");
        let [observed] = &bench.out[..] else {
            panic!("one exchange")
        };
        assert!(ids.insert(observed.connection.id.clone()), "{}", observed.connection.id);
        bench.out.clear();
    }
    assert_eq!(bench.correlator.processes.len(), 1);
    assert!(bench.correlator.connections.keys().is_empty());
}

#[test]
fn at_the_bound_processes_without_connections_are_forgotten_and_counted() {
    let mut bench = Bench::new(Bounds {
        processes: 3,
        ..Bounds::default()
    });
    bench.unknown(1, false);
    bench.change(8, Change::FORKED, PID, "a");
    bench.change(9, Change::FORKED, PID, "b");
    bench.change(9, Change::MET, 0, "c");
    assert_eq!(bench.correlator.counters().processes_forgotten, 0);
    bench.change(10, Change::FORKED, PID, "d");
    assert_eq!(bench.correlator.counters().processes_forgotten, 2);
    assert_eq!(bench.correlator.processes.len(), 2);
}

#[test]
fn sites_added_later_have_the_next_indexes() {
    let mut bench = Bench::new(Bounds::default());
    bench.correlator.add_sites(&[SiteEntry {
        library: "boringssl".to_owned(),
        path: String::new(),
        function: String::new(),
    }]);
    for (ssl, site) in [(1, 0), (2, 1), (3, 2)] {
        let mut record = ConnectionRecord::new_zeroed();
        record.header = bench.header(ssl, Kind::CONNECTION, Way::READ);
        record.header.cookie = Cookie::new(site, Role::Read);
        record.source = Source::CUSTOM_BIO;
        bench.push(record.as_bytes());
        bench.exchange(ssl, 0);
    }
    let libraries: Vec<_> = bench
        .out
        .iter()
        .map(|observed| observed.connection.tls.as_str())
        .collect();
    assert_eq!(libraries, ["openssl", "boringssl", "unknown"]);
}

#[test]
fn sites_over_the_limit_are_dropped() {
    let mut bench = Bench::new(Bounds::default());
    let site = SiteEntry {
        library: "openssl".to_owned(),
        path: String::new(),
        function: String::new(),
    };
    bench.correlator.add_sites(&vec![site; 2 * MAX_SITES]);
    assert_eq!(bench.correlator.sites.count(), MAX_SITES);
}
