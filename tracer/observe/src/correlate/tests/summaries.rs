//! Summaries of connections.

use super::*;
use crate::limits::ENDING_NS;

impl Bench {
    fn two_exchanges(&mut self, ssl: u64) {
        self.tls(ssl);
        self.known(ssl, Source::BIO, 50_000, 0);
        self.exchange(ssl, 0);
        self.exchange(ssl, 1);
    }

    fn end_after_two(&mut self, ssl: u64) {
        self.end(ssl, 2 * REQUEST.len(), 2 * RESPONSE.len());
    }

    fn when(&self) -> Vec<u64> {
        let since = |observed: &Observed| observed.time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let summary = |observed: &&Observed| matches!(observed.kind, ObservedKind::Connection(_));
        let nanos = self
            .out
            .iter()
            .filter(summary)
            .map(|observed| since(observed).as_nanos());
        nanos.map(|nanos| nanos.try_into().unwrap()).collect()
    }
}

fn end_of(observed: &Observed) -> Option<(Ended, u64)> {
    match &observed.kind {
        ObservedKind::End(end) => Some((end.ended, end.ended_at.0)),
        ObservedKind::Exchange(_) | ObservedKind::Gap(_) | ObservedKind::Connection(_) => None,
    }
}

fn transferred() -> [Option<u64>; 2] {
    [Some(2 * REQUEST.len() as u64), Some(2 * RESPONSE.len() as u64)]
}

#[test]
fn a_summary_is_emitted_once_the_connection_has_ended_and_its_socket_is_closed() {
    let orders: [fn(&mut Bench); 2] = [
        |bench| {
            bench.end_after_two(1);
            assert!(bench.summaries().is_empty());
            bench.socket(1);
        },
        |bench| {
            bench.socket(1);
            assert!(bench.summaries().is_empty());
            bench.end_after_two(1);
        },
    ];
    for order in orders {
        let mut bench = Bench::with_summaries();
        bench.two_exchanges(1);
        order(&mut bench);
        bench.wait(2 * ENDING_NS);
        bench.finish();
        let [("7-1", summary)] = bench.summaries()[..] else {
            panic!("{:?}", bench.summaries())
        };
        assert_eq!(
            (summary.transferred, summary.exchanges, summary.open),
            (transferred(), 2, false)
        );
        assert_eq!(summary.tls.as_ref().unwrap().version, Some(0x0304));
        let transport = summary.transport.as_ref().unwrap();
        assert_eq!((transport.received, transport.acknowledged), (1000, 2000));
        assert_eq!(transport.opened, Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(1)));
    }
}

#[test]
fn the_close_of_the_socket_is_waited_for_until_the_timeout() {
    let mut bench = Bench::with_summaries();
    bench.two_exchanges(1);
    bench.end_after_two(1);
    let ended_ns = bench.now_ns;
    bench.wait(ENDING_NS - 1);
    assert!(bench.summaries().is_empty());
    bench.wait(1);
    assert_eq!(bench.when(), [ended_ns]);
    assert_eq!(bench.summaries()[0].1.transport, None);
    bench.socket(1);
    bench.finish();
    assert_eq!(bench.summaries().len(), 1, "it is emitted once");
}

#[test]
fn a_connection_whose_object_is_not_freed_ends_with_its_socket() {
    let mut bench = Bench::with_summaries();
    bench.known(1, Source::BIO, 50_000, 0);
    bench.begin(1);
    bench.socket(1);
    let closed_ns = bench.now_ns;
    bench.wait(ENDING_NS - 1);
    assert!(bench.summaries().is_empty());
    bench.wait(1);
    let ends: Vec<_> = bench.out.iter().filter_map(end_of).collect();
    assert_eq!(ends, [(Ended::Closed, closed_ns)]);
    assert_eq!(bench.when(), [closed_ns]);
    assert_eq!(
        bench.summaries()[0].1.transferred,
        [Some(REQUEST.len() as u64), Some(RESPONSE.len() as u64 - 1)]
    );
    bench.end(1, REQUEST.len(), RESPONSE.len());
    bench.finish();
    assert_eq!(bench.summaries().len(), 1, "it is emitted once");
}

#[test]
fn sockets_closed_after_the_end_of_their_process_are_in_the_summary() {
    let mut bench = Bench::with_summaries();
    bench.two_exchanges(1);
    bench.change(PID, Change::ENDED, 0, "");
    bench.socket(1);
    let [("7-1", summary)] = bench.summaries()[..] else {
        panic!("{:?}", bench.summaries())
    };
    assert!(summary.transport.is_some());
    assert_eq!((summary.transferred, bench.when()), (transferred(), vec![bench.now_ns]));
    assert_eq!(bench.out.last().unwrap().connection.process.name, "nginx");
}

#[test]
fn at_the_end_of_the_run_ended_connections_come_before_open_ones() {
    let mut bench = Bench::with_summaries();
    bench.two_exchanges(1);
    bench.two_exchanges(2);
    bench.two_exchanges(3);
    bench.end_after_two(2);
    bench.socket(3);
    bench.out.clear();
    bench.finish();
    let emitted: Vec<_> = bench
        .summaries()
        .iter()
        .map(|(id, summary)| (*id, summary.open))
        .collect();
    assert_eq!(emitted, [("7-2", false), ("7-3", false), ("7-1", true)]);
    assert_eq!(bench.summaries()[2].1.transferred, transferred());
}

#[test]
fn at_the_bound_the_oldest_is_reported_without_its_socket_and_counted() {
    let bounds = Bounds {
        endings: 2,
        ..Bounds::default()
    };
    let mut bench = Bench::with(bounds, true);
    for ssl in 1..=2 {
        bench.two_exchanges(ssl);
        bench.end_after_two(ssl);
    }
    assert_eq!(
        (bench.summaries().len(), bench.correlator.counters().endings_early),
        (0, 0)
    );
    bench.two_exchanges(3);
    bench.end_after_two(3);
    assert_eq!(
        (bench.summaries()[0].0, bench.correlator.counters().endings_early),
        ("7-1", 1)
    );
    bench.socket(2);
    bench.socket(3);
    assert_eq!(bench.summaries().len(), 3);
    assert_eq!(bench.correlator.counters().endings_early, 1);
}

#[test]
fn a_socket_of_an_unknown_connection_is_ignored() {
    let mut bench = Bench::with_summaries();
    bench.socket(1);
    bench.wait(2 * ENDING_NS);
    bench.finish();
    assert!(bench.out.is_empty());
}

#[test]
fn no_summary_is_emitted_unless_requested() {
    let mut bench = Bench::new(Bounds::default());
    bench.two_exchanges(1);
    bench.end_after_two(1);
    bench.socket(1);
    bench.two_exchanges(2);
    bench.tls(3);
    bench.finish();
    assert_eq!((bench.exchanges().len(), bench.out.len()), (4, 4));
}
