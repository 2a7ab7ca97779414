//! Order, overlap and gaps.

use super::*;

fn chunk(position: u64, bytes: &[u8]) -> Chunk<'_> {
    Chunk {
        position,
        at: Timestamp(0),
        origin: 0,
        call_start: true,
        bytes,
    }
}

fn insert(reassembler: &mut Reassembler, position: u64, bytes: &str) -> Inserted {
    reassembler.insert(chunk(position, bytes.as_bytes()), &Limits::DEFAULT)
}

fn add_gap(reassembler: &mut Reassembler, position: u64, span: u64) {
    let gap = Gap {
        direction: Direction::Read,
        position,
        span,
        cause: GapCause::OverLimit,
        at: None,
    };
    reassembler.add_gap(&gap, &Limits::DEFAULT);
}

/// Takes everything that is contiguous.
fn take_all(reassembler: &mut Reassembler) -> String {
    let mut taken = String::new();
    while let Some(held) = reassembler.take() {
        let bytes = held.chunk(0).bytes.to_vec();
        reassembler.put_back(held, bytes.len());
        taken += std::str::from_utf8(&bytes).unwrap();
    }
    taken
}

#[test]
fn chunks_are_taken_in_order() {
    let mut reassembler = Reassembler::new(Direction::Read);
    insert(&mut reassembler, 3, "def");
    insert(&mut reassembler, 6, "g");
    assert!(reassembler.has_gap());
    insert(&mut reassembler, 0, "abc");
    assert_eq!(take_all(&mut reassembler), "abcdefg");
    assert_eq!((reassembler.next(), reassembler.held_bytes()), (7, 0));
}

#[test]
fn repeated_bytes_are_counted_and_not_taken_twice() {
    let mut reassembler = Reassembler::new(Direction::Read);
    insert(&mut reassembler, 2, "cd");
    insert(&mut reassembler, 6, "gh");
    assert_eq!(insert(&mut reassembler, 0, "ABCDEFGHIJ").repeated, 4);
    assert_eq!(take_all(&mut reassembler), "ABcdEFghIJ");
    assert_eq!(insert(&mut reassembler, 4, "xx").repeated, 2);
}

#[test]
fn a_gap_ends_where_the_next_chunk_begins() {
    let mut reassembler = Reassembler::new(Direction::Read);
    insert(&mut reassembler, 5, "fg");
    assert_eq!(reassembler.take_known_gap(), None);
    assert_eq!(
        reassembler.take_gap(),
        Some(Gap {
            direction: Direction::Read,
            position: 0,
            span: 5,
            cause: GapCause::Lost,
            at: None,
        })
    );
    assert_eq!(take_all(&mut reassembler), "fg");
    assert_eq!(reassembler.take_gap(), None);
}

#[test]
fn a_reported_gap_is_taken_without_settling() {
    let mut reassembler = Reassembler::new(Direction::Read);
    add_gap(&mut reassembler, 2, 4);
    insert(&mut reassembler, 0, "ab");
    assert_eq!(take_all(&mut reassembler), "ab");
    assert_eq!(
        reassembler.take_known_gap(),
        Some(Gap {
            direction: Direction::Read,
            position: 2,
            span: 4,
            cause: GapCause::OverLimit,
            at: None,
        })
    );
}

#[test]
fn a_gap_is_recorded_around_bytes_that_arrived() {
    let mut reassembler = Reassembler::new(Direction::Read);
    insert(&mut reassembler, 2, "cd");
    add_gap(&mut reassembler, 0, 6);
    assert_eq!(reassembler.take_known_gap().map(|gap| gap.span), Some(2));
    assert_eq!(take_all(&mut reassembler), "cd");
    assert_eq!(
        reassembler.take_known_gap().map(|gap| (gap.position, gap.span)),
        Some((4, 2))
    );
}

#[test]
fn bytes_put_back_in_part_no_longer_begin_a_call() {
    let mut reassembler = Reassembler::new(Direction::Read);
    insert(&mut reassembler, 0, "abc");
    let held = reassembler.take().unwrap();
    assert!(held.chunk(0).call_start);
    reassembler.put_back(held, 1);
    let held = reassembler.take().unwrap();
    assert_eq!((held.chunk(1).bytes, held.chunk(1).call_start), (&b"bc"[..], false));
}
