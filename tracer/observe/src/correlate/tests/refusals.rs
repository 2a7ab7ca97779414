//! Taps and lifts that do not serve connections.

use tracer_ebpf::{HooksRecord, HooksRefused as Cause};

use super::*;
use crate::event::{Refusal, RefusalCause};

/// The files of the sites that are added: the first has one site, of the bench.
const OTHER: &str = "/opt/libssl.so.3";

impl Bench {
    /// A connection of a process refuses the hook of a direction at a site.
    fn refuse(&mut self, pid: u32, site: u32, direction: Way, cause: Cause) {
        let before = std::mem::replace(&mut self.pid, pid);
        let mut header = self.header(1, Kind::HOOKS, direction);
        header.cookie = Cookie::new(site, Role::Read);
        self.pid = before;
        let record = HooksRecord {
            header,
            cause,
            reserved: [0; 7],
        };
        self.push(record.as_bytes());
    }

    /// Takes the reports: process, path, kind and cause.
    fn reports(&mut self) -> Vec<(u32, String, &'static str, RefusalCause)> {
        let refusals = self.correlator.take_refusals().into_iter();
        let report = |refused: HooksRefused| {
            let Refusal { cause, .. } = refused.refusal;
            let kind = refused.refusal.kind();
            (refused.process.pid, refused.path.to_string(), kind, cause)
        };
        refusals.map(report).collect()
    }
}

fn bench() -> Bench {
    let mut bench = Bench::new(Bounds::default());
    let site = SiteEntry {
        library: "openssl".to_owned(),
        path: OTHER.to_owned(),
        function: String::new(),
    };
    bench.correlator.add_sites(&[site.clone(), site]);
    bench
}

#[test]
fn a_refusal_is_reported_once_for_a_process_and_noted_once_for_a_file() {
    let mut bench = bench();
    for _ in 0..1000 {
        bench.refuse(PID, 0, Way::WRITE, Cause::WRITE_BIO);
        bench.refuse(8, 0, Way::WRITE, Cause::WRITE_BIO);
    }
    let cause = RefusalCause::WriteBio;
    let expected = [PID, 8].map(|pid| (pid, String::new(), "lift", cause));
    assert_eq!(bench.reports(), expected);
    let notes = bench.correlator.take_notes();
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains("the lift of") && notes[0].contains("nginx (7)"),
        "{notes:?}"
    );
    bench.refuse(PID, 0, Way::WRITE, Cause::EARLY_DATA);
    bench.refuse(PID, 0, Way::READ, Cause::UNSEEN);
    let kinds: Vec<_> = bench.reports().into_iter().map(|(_, _, kind, _)| kind).collect();
    assert_eq!(kinds, ["lift", "tap"]);
    assert_eq!(bench.correlator.take_notes().len(), 2);
}

#[test]
fn a_wrong_hook_is_reported_once_for_each_file() {
    let mut bench = bench();
    for pid in [PID, 8, 9] {
        for site in [0, 1, 2] {
            bench.refuse(pid, site, Way::READ, Cause::MISMATCH);
        }
    }
    let cause = RefusalCause::Mismatch;
    let expected = ["", OTHER].map(|path| (PID, path.to_owned(), "tap", cause));
    assert_eq!(bench.reports(), expected);
    assert_eq!(bench.correlator.take_notes().len(), 2);
}

#[test]
fn a_program_that_a_process_executes_is_reported_anew() {
    let mut bench = bench();
    bench.refuse(PID, 0, Way::WRITE, Cause::WRITE_BIO);
    bench.change(PID, Change::EXECUTED, 0, "curl");
    bench.refuse(PID, 1, Way::WRITE, Cause::WRITE_BIO);
    let reports = bench.correlator.take_refusals();
    let names: Vec<_> = reports.iter().map(|refused| refused.process.name.as_str()).collect();
    assert_eq!(names, ["nginx", "curl"]);
}

#[test]
fn a_refusal_at_an_unknown_site_is_not_reported() {
    let mut bench = bench();
    bench.refuse(PID, 3, Way::WRITE, Cause::WRITE_BIO);
    assert!(bench.reports().is_empty() && bench.correlator.take_notes().is_empty());
}

#[test]
fn refusals_track_no_connection() {
    let mut bench = bench();
    bench.refuse(PID, 0, Way::WRITE, Cause::WRITE_BIO);
    assert!(bench.correlator.connections.keys().is_empty());
}
