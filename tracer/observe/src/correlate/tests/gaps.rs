//! Gaps: where they are, and that each is emitted once.

use super::*;

impl Bench {
    fn positions(&mut self, ssl: u64, read: u64, written: u64) {
        let record = EndRecord {
            header: self.header(ssl, Kind::REACHED, Way::READ),
            read,
            written,
        };
        self.push(record.as_bytes());
    }

    pub(super) fn gaps(&self) -> Vec<(&str, Direction, u64, Option<u64>)> {
        let gap = |observed: &Observed| match observed.kind {
            ObservedKind::Gap(gap) => Some(gap),
            ObservedKind::Exchange(_) | ObservedKind::End(_) | ObservedKind::Connection(_) => None,
        };
        self.out
            .iter()
            .filter_map(|observed| {
                let id = &*observed.connection.id;
                gap(observed).map(|gap| (id, gap.direction, gap.position, gap.bytes()))
            })
            .collect()
    }
}

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

#[test]
fn the_end_of_a_connection_without_other_records_is_a_gap() {
    let mut bench = Bench::with_summaries();
    bench.end(1, 300, 5000);
    assert_eq!(
        bench.gaps(),
        [("7-1", READ, 0, Some(300)), ("7-1", WRITE, 0, Some(5000))]
    );
    // A connection that moved no data is not tracked for its end.
    bench.end(2, 0, 0);
    assert_eq!(bench.gaps().len(), 2);
}

#[test]
fn positions_of_an_open_connection_emit_each_gap_once() {
    let mut bench = Bench::new(Bounds::default());
    bench.exchange(1, 0);
    let (asked, answered) = (REQUEST.len() as u64, RESPONSE.len() as u64);
    bench.positions(1, asked, answered);
    assert_eq!(bench.gaps(), []);
    for _ in 0..3 {
        bench.positions(1, asked + 10, answered + 20);
    }
    let expected = [("7-1", READ, asked, Some(10)), ("7-1", WRITE, answered, Some(20))];
    assert_eq!(bench.gaps(), expected);
    bench.data(1, Way::READ, asked + 15, REQUEST);
    bench.end(1, REQUEST.len() * 2 + 15, RESPONSE.len() + 20);
    assert_eq!(bench.gaps()[2..], [("7-1", READ, asked + 10, Some(5))]);
}

#[test]
fn positions_after_the_end_of_a_process_emit_each_gap_once() {
    let mut bench = Bench::with_summaries();
    bench.exchange(1, 0);
    bench.change(PID, Change::ENDED, 0, "");
    bench.positions(1, REQUEST.len() as u64 + 7, RESPONSE.len() as u64);
    bench.end(1, REQUEST.len() + 7, RESPONSE.len());
    assert_eq!(bench.gaps(), [("7-1", READ, REQUEST.len() as u64, Some(7))]);
}

#[test]
fn an_evicted_connection_that_moves_data_again_has_no_gap() {
    let mut bench = Bench::new(Bounds {
        connections: 1,
        ..Bounds::default()
    });
    bench.exchange(1, 0);
    bench.exchange(2, 0);
    bench.exchange(1, 1);
    assert_eq!(bench.gaps(), []);
}

#[test]
fn gaps_in_a_tunnel_are_emitted() {
    const UPGRADE: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    const SWITCH: &[u8] = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, UPGRADE);
    bench.data(1, Way::WRITE, 0, SWITCH);
    let end = UPGRADE.len() as u64;
    bench.data(1, Way::READ, end, b"\x81\x85");
    bench.data(1, Way::READ, end + 100, b"\x81\x85");
    assert_eq!(bench.gaps(), [("7-1", READ, end + 2, Some(98))]);
}
