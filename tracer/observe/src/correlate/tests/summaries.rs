//! Connections as a whole, at their end.

use super::*;
use crate::limits::ENDING_NS;

impl Bench {
    fn whole(&mut self, ssl: u64) {
        self.tls(ssl);
        self.known(ssl, Source::BIO, 50_000, 0);
        self.exchange(ssl, 0);
        self.exchange(ssl, 1);
    }

    fn end_whole(&mut self, ssl: u64) {
        self.end(ssl, 2 * REQUEST.len(), 2 * RESPONSE.len());
    }

    fn when(&self) -> Vec<u64> {
        let since = |observed: &Observed| observed.time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let told = |observed: &&Observed| matches!(observed.happening, Happening::Connection(_));
        let nanos = self.out.iter().filter(told).map(|observed| since(observed).as_nanos());
        nanos.map(|nanos| nanos.try_into().unwrap()).collect()
    }
}

fn end_of(observed: &Observed) -> Option<(Ended, u64)> {
    match &observed.happening {
        Happening::End(end) => Some((end.ended, end.ended_at.0)),
        Happening::Exchange(_) | Happening::Loss(_) | Happening::Connection(_) => None,
    }
}

fn moved() -> [Option<u64>; 2] {
    [Some(2 * REQUEST.len() as u64), Some(2 * RESPONSE.len() as u64)]
}

#[test]
fn a_connection_is_told_once_both_its_end_and_its_sockets_have_come() {
    let orders: [fn(&mut Bench); 2] = [
        |bench| {
            bench.end_whole(1);
            assert!(bench.summaries().is_empty());
            bench.socket(1);
        },
        |bench| {
            bench.socket(1);
            assert!(bench.summaries().is_empty());
            bench.end_whole(1);
        },
    ];
    for order in orders {
        let mut bench = Bench::of_connections();
        bench.whole(1);
        order(&mut bench);
        bench.wait(2 * ENDING_NS);
        bench.finish();
        let [("7-1", summary)] = bench.summaries()[..] else {
            panic!("{:?}", bench.summaries())
        };
        assert_eq!((summary.moved, summary.exchanges, summary.open), (moved(), 2, false));
        assert_eq!(summary.tls.as_ref().unwrap().version, Some(0x0304));
        let transport = summary.transport.as_ref().unwrap();
        assert_eq!((transport.received, transport.acknowledged), (1000, 2000));
        assert_eq!(transport.opened, Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(1)));
    }
}

#[test]
fn the_other_half_is_waited_for_a_second_and_not_longer() {
    let mut bench = Bench::of_connections();
    bench.whole(1);
    bench.end_whole(1);
    let ended_ns = bench.now_ns;
    bench.wait(ENDING_NS - 1);
    assert!(bench.summaries().is_empty());
    bench.wait(1);
    assert_eq!(bench.when(), [ended_ns]);
    assert_eq!(bench.summaries()[0].1.transport, None);
    bench.socket(1);
    bench.finish();
    assert_eq!(bench.summaries().len(), 1, "it is told once");
}

#[test]
fn a_connection_whose_socket_was_closed_ends_then_where_nobody_frees_it() {
    let mut bench = Bench::of_connections();
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
        bench.summaries()[0].1.moved,
        [Some(REQUEST.len() as u64), Some(RESPONSE.len() as u64 - 1)]
    );
    bench.end(1, REQUEST.len(), RESPONSE.len());
    bench.finish();
    assert_eq!(bench.summaries().len(), 1, "it is told once");
}

#[test]
fn a_process_that_ended_lets_its_sockets_have_the_last_word() {
    let mut bench = Bench::of_connections();
    bench.whole(1);
    bench.change(PID, Change::ENDED, 0, "");
    bench.socket(1);
    let [("7-1", summary)] = bench.summaries()[..] else {
        panic!("{:?}", bench.summaries())
    };
    assert!(summary.transport.is_some());
    assert_eq!((summary.moved, bench.when()), (moved(), vec![bench.now_ns]));
    assert_eq!(bench.out.last().unwrap().connection.process.name, "nginx");
}

#[test]
fn at_the_end_of_the_run_the_ended_come_first_and_the_others_are_open() {
    let mut bench = Bench::of_connections();
    bench.whole(1);
    bench.whole(2);
    bench.whole(3);
    bench.end_whole(2);
    bench.socket(3);
    bench.out.clear();
    bench.finish();
    let told: Vec<_> = bench
        .summaries()
        .iter()
        .map(|(id, summary)| (*id, summary.open))
        .collect();
    assert_eq!(told, [("7-2", false), ("7-3", false), ("7-1", true)]);
    assert_eq!(bench.summaries()[2].1.moved, moved());
}

#[test]
fn beyond_the_bound_the_oldest_is_told_without_its_socket_and_counted() {
    let bounds = Bounds {
        endings: 2,
        ..Bounds::default()
    };
    let mut bench = Bench::with(bounds, true);
    for ssl in 1..=2 {
        bench.whole(ssl);
        bench.end_whole(ssl);
    }
    assert_eq!(
        (bench.summaries().len(), bench.correlator.counters().endings_early),
        (0, 0)
    );
    bench.whole(3);
    bench.end_whole(3);
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
fn a_socket_of_a_connection_that_was_not_seen_is_nobodys() {
    let mut bench = Bench::of_connections();
    bench.socket(1);
    bench.wait(2 * ENDING_NS);
    bench.finish();
    assert!(bench.out.is_empty());
}

#[test]
fn nothing_of_it_is_told_unless_asked_for() {
    let mut bench = Bench::new(Bounds::default());
    bench.whole(1);
    bench.end_whole(1);
    bench.socket(1);
    bench.whole(2);
    bench.tls(3);
    bench.finish();
    assert_eq!((bench.exchanges().len(), bench.out.len()), (4, 4));
}
