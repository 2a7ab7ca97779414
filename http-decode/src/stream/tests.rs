//! Order, overlap and holes.

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

fn insert(stream: &mut Stream, position: u64, bytes: &str) -> Inserted {
    stream.insert(chunk(position, bytes.as_bytes()), &Limits::DEFAULT)
}

fn miss(stream: &mut Stream, position: u64, span: u64) {
    let hole = Hole {
        position,
        span,
        cause: GapCause::OverLimit,
        at: None,
    };
    stream.missing(&hole, &Limits::DEFAULT);
}

/// Takes everything that is contiguous.
fn take_all(stream: &mut Stream) -> String {
    let mut taken = String::new();
    while let Some(held) = stream.take() {
        let bytes = held.chunk(0).bytes.to_vec();
        stream.put_back(held, bytes.len());
        taken += std::str::from_utf8(&bytes).unwrap();
    }
    taken
}

#[test]
fn chunks_come_out_in_order() {
    let mut stream = Stream::default();
    insert(&mut stream, 3, "def");
    insert(&mut stream, 6, "g");
    assert!(stream.has_hole());
    insert(&mut stream, 0, "abc");
    assert_eq!(take_all(&mut stream), "abcdefg");
    assert_eq!((stream.next(), stream.held_bytes()), (7, 0));
}

#[test]
fn what_is_there_already_is_counted_and_not_taken_twice() {
    let mut stream = Stream::default();
    insert(&mut stream, 2, "cd");
    insert(&mut stream, 6, "gh");
    assert_eq!(insert(&mut stream, 0, "ABCDEFGHIJ").repeated, 4);
    assert_eq!(take_all(&mut stream), "ABcdEFghIJ");
    assert_eq!(insert(&mut stream, 4, "xx").repeated, 2);
}

#[test]
fn a_hole_ends_where_the_next_chunk_begins() {
    let mut stream = Stream::default();
    insert(&mut stream, 5, "fg");
    assert_eq!(stream.take_missing(), None);
    assert_eq!(
        stream.take_hole(),
        Some(Hole {
            position: 0,
            span: 5,
            cause: GapCause::Lost,
            at: None,
        })
    );
    assert_eq!(take_all(&mut stream), "fg");
    assert_eq!(stream.take_hole(), None);
}

#[test]
fn a_hole_known_at_once_needs_no_settling() {
    let mut stream = Stream::default();
    miss(&mut stream, 2, 4);
    insert(&mut stream, 0, "ab");
    assert_eq!(take_all(&mut stream), "ab");
    assert_eq!(
        stream.take_missing(),
        Some(Hole {
            position: 2,
            span: 4,
            cause: GapCause::OverLimit,
            at: None,
        })
    );
}

#[test]
fn a_hole_is_marked_around_what_came() {
    let mut stream = Stream::default();
    insert(&mut stream, 2, "cd");
    miss(&mut stream, 0, 6);
    assert_eq!(stream.take_missing().map(|hole| hole.span), Some(2));
    assert_eq!(take_all(&mut stream), "cd");
    assert_eq!(
        stream.take_missing().map(|hole| (hole.position, hole.span)),
        Some((4, 2))
    );
}

#[test]
fn what_is_put_back_is_no_call_start_any_more() {
    let mut stream = Stream::default();
    insert(&mut stream, 0, "abc");
    let held = stream.take().unwrap();
    assert!(held.chunk(0).call_start);
    stream.put_back(held, 1);
    let held = stream.take().unwrap();
    assert_eq!((held.chunk(1).bytes, held.chunk(1).call_start), (&b"bc"[..], false));
}
