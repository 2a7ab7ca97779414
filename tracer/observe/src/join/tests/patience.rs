//! Upstream exchanges that wait longer than the hold for the response to a request that they may belong to.

use http_decode::Side::{Client, Server};

use super::bench::{Bench, ambiguous, joined};
use crate::{
    ids::IdHeaders,
    join::Joiner,
    limits::{MAX_PATIENCE_NS, MAX_PATIENT},
};

const SECOND_NS: u64 = 1_000_000_000;

/// Makes a bench with a hold of a second.
fn patient_bench() -> Bench {
    let mut bench = Bench::new();
    bench.joiner = Joiner::new(IdHeaders::default(), SECOND_NS);
    let first = bench.ask(Server, 999, "/first", None);
    bench.finish(first);
    bench.advance(2 * SECOND_NS);
    bench.out.clear();
    bench
}

#[test]
fn an_upstream_exchange_waits_longer_for_a_response_that_may_show_its_id() {
    let mut bench = patient_bench();
    let mut downstream = bench.ask(Server, 1, "/shop", None);
    let (check, slow) = (
        bench.ask(Client, 2, "/check", Some("minted")),
        bench.ask(Client, 3, "/slow", Some("minted")),
    );
    bench.finish(check.clone());
    for _ in 0..20 {
        bench.advance(SECOND_NS);
    }
    assert_eq!(bench.take(), []);
    downstream.answered_id = Some("minted".to_owned());
    bench.finish(slow.clone());
    bench.finish(downstream.clone());
    assert_eq!(bench.take(), [joined(&downstream, &[&check, &slow], "request-id")]);
    assert_eq!(bench.end(), []);
}

#[test]
fn an_upstream_exchange_does_not_wait_forever() {
    let mut bench = patient_bench();
    let downstream = bench.ask(Server, 1, "/shop", None);
    let check = bench.ask(Client, 2, "/check", Some("minted"));
    bench.finish(check.clone());
    bench.advance(MAX_PATIENCE_NS - SECOND_NS);
    assert_eq!(bench.take(), []);
    bench.advance(SECOND_NS);
    bench.advance(SECOND_NS);
    assert_eq!(bench.take(), [ambiguous(&check, &[&downstream])]);
    // Nor does one at the end of the run.
    let other = bench.ask(Client, 3, "/check", Some("other"));
    bench.finish(other.clone());
    assert_eq!(bench.end(), [ambiguous(&other, &[&downstream])]);
}

#[test]
fn more_upstream_exchanges_than_the_bound_wait_no_longer_than_the_hold() {
    for count in [MAX_PATIENT, MAX_PATIENT + 1] {
        let mut bench = patient_bench();
        bench.ask(Server, 1, "/hangs", None);
        for number in 0..count {
            let upstream = bench.ask(Client, 2 + u64::try_from(number).unwrap(), "/", Some("minted"));
            bench.push(&upstream, Some(bench.now_ns));
        }
        bench.advance(2 * SECOND_NS);
        assert_eq!(bench.take().is_empty(), count == MAX_PATIENT, "{count}");
    }
}
