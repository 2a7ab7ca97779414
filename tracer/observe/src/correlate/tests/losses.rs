//! What was lost, where, and that each byte of it is told once.

use super::*;

impl Bench {
    fn reached(&mut self, ssl: u64, read: u64, written: u64) {
        let record = EndRecord {
            header: self.header(ssl, Kind::REACHED, Way::READ),
            read,
            written,
        };
        self.take(record.as_bytes());
    }

    pub(super) fn losses(&self) -> Vec<(&str, Direction, u64, Option<u64>)> {
        let told = self
            .out
            .iter()
            .map(|observed| (&*observed.connection.id, &observed.happening));
        told.filter_map(|(id, happening)| match happening {
            Happening::Loss(gap) => Some((id, gap.direction, gap.position, gap.bytes())),
            Happening::Exchange(_) | Happening::End(_) | Happening::Connection(_) => None,
        })
        .collect()
    }
}

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

#[test]
fn a_connection_that_was_lost_as_a_whole_is_told_by_its_end() {
    let mut bench = Bench::of_connections();
    bench.end(1, 300, 5000);
    assert_eq!(
        bench.losses(),
        [("7-1", READ, 0, Some(300)), ("7-1", WRITE, 0, Some(5000))]
    );
    // The end of one that moved nothing is nobody's.
    bench.end(2, 0, 0);
    assert_eq!(bench.losses().len(), 2);
}

#[test]
fn what_a_silent_connection_lost_is_told_once_while_it_goes_on() {
    let mut bench = Bench::new(Bounds::default());
    bench.exchange(1, 0);
    let (asked, answered) = (REQUEST.len() as u64, RESPONSE.len() as u64);
    bench.reached(1, asked, answered);
    assert_eq!(bench.losses(), []);
    for _ in 0..3 {
        bench.reached(1, asked + 10, answered + 20);
    }
    let expected = [("7-1", READ, asked, Some(10)), ("7-1", WRITE, answered, Some(20))];
    assert_eq!(bench.losses(), expected);
    bench.data(1, Way::READ, asked + 15, REQUEST);
    bench.end(1, REQUEST.len() * 2 + 15, RESPONSE.len() + 20);
    assert_eq!(bench.losses()[2..], [("7-1", READ, asked + 10, Some(5))]);
}

#[test]
fn what_is_heard_of_a_connection_after_its_process_ended_is_not_told_again() {
    let mut bench = Bench::of_connections();
    bench.exchange(1, 0);
    bench.change(PID, Change::ENDED, 0, "");
    bench.reached(1, REQUEST.len() as u64 + 7, RESPONSE.len() as u64);
    bench.end(1, REQUEST.len() + 7, RESPONSE.len());
    assert_eq!(bench.losses(), [("7-1", READ, REQUEST.len() as u64, Some(7))]);
}

#[test]
fn a_connection_that_was_given_up_and_goes_on_has_not_lost_what_was_seen() {
    let mut bench = Bench::new(Bounds {
        connections: 1,
        ..Bounds::default()
    });
    bench.exchange(1, 0);
    bench.exchange(2, 0);
    bench.exchange(1, 1);
    assert_eq!(bench.losses(), []);
}

#[test]
fn a_tunnel_tells_its_losses_too() {
    const UPGRADE: &[u8] = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    const SWITCH: &[u8] = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut bench = Bench::new(Bounds::default());
    bench.data(1, Way::READ, 0, UPGRADE);
    bench.data(1, Way::WRITE, 0, SWITCH);
    let end = UPGRADE.len() as u64;
    bench.data(1, Way::READ, end, b"\x81\x85");
    bench.data(1, Way::READ, end + 100, b"\x81\x85");
    assert_eq!(bench.losses(), [("7-1", READ, end + 2, Some(98))]);
}
