//! Memory and counters.

use super::*;

#[test]
fn a_block_in_one_chunk_is_not_copied_and_has_its_position() {
    let mut wire = frame(6, 0, 0, &[0; 8]);
    wire.extend(frame(1, 4, 1, b"abc"));
    let mut reader = Reader::new(LIMIT);
    let mut whole = chunk(100, &wire);
    let Some(Event::Block(block)) = reader.read(&mut whole) else {
        panic!("no block")
    };
    let mark = Mark {
        position: 117,
        at: Timestamp(100),
        origin: 7,
    };
    assert_eq!(
        (block.mark, block.at, block.bytes.as_ptr()),
        (mark, Timestamp(100), wire[26..].as_ptr())
    );
    assert_eq!(reader.held_bytes(), 0);
}

#[test]
fn a_block_in_pieces_has_the_times_of_its_beginning_and_end() {
    let wire = frame(1, 4, 1, b"abc");
    let mut reader = Reader::new(LIMIT);
    for position in 0..11_u8 {
        let byte = &wire[usize::from(position)..][..1];
        assert_eq!(reader.read(&mut chunk(position.into(), byte)), None);
    }
    let mut last = chunk(11, &wire[11..]);
    let Some(Event::Block(block)) = reader.read(&mut last) else {
        panic!("no block")
    };
    let mark = Mark {
        position: 0,
        at: Timestamp(0),
        origin: 7,
    };
    assert_eq!((block.mark, block.at, block.bytes), (mark, Timestamp(11), &b"abc"[..]));
}

#[test]
fn a_block_over_the_limit_is_cut_and_its_rest_skipped() {
    let most = "x".repeat(LIMIT);
    assert_eq!(read(&frame(1, 4, 1, most.as_bytes())), [format!("1: {most}")]);
    for cut in [false, true] {
        let mut reader = Reader::new(LIMIT);
        let mut wire = frame(1, 0, 1, most.as_bytes());
        for _ in 0..1000 {
            wire.extend(frame(9, 0, 1, b"yz"));
        }
        wire.extend(frame(9, 4, 1, b"yz"));
        wire.extend(frame(1, 4, 3, b"ab"));
        let mut events = Vec::new();
        for (position, piece) in (0..).zip(wire.chunks(if cut { 1 } else { usize::MAX })) {
            events.extend(read_at(&mut reader, position, piece));
            assert!(reader.held_bytes() <= LIMIT);
        }
        assert_eq!(events, [format!("1: {most} and more"), "3: ab".to_owned()]);
        assert_eq!(reader.take_counters().blocks_cut, 1);
    }
    let over = frame(1, 4, 1, &[b'x'; LIMIT + 1]);
    assert_eq!(read(&over), [format!("1: {most} and more")]);
}

#[test]
fn memory_grows_with_what_arrives_and_not_with_what_is_announced() {
    let mut reader = Reader::new(1 << 20);
    let header = &frame(1, 4, 1, &vec![0; 1 << 19])[..9];
    read_at(&mut reader, 0, header);
    for position in 0..1000 {
        read_at(&mut reader, position + 9, &[0]);
        assert!(reader.held_bytes() <= 2 * (usize::try_from(position).unwrap() + 1));
    }
}

#[test]
fn memory_of_a_large_block_is_freed_once_it_was_reported() {
    let mut reader = Reader::new(1 << 20);
    let wire = frame(1, 4, 1, &vec![b'x'; 1 << 16]);
    read_at(&mut reader, 0, &wire[..10]);
    assert_eq!(read_at(&mut reader, 10, &wire[10..]).len(), 1);
    assert!(reader.held_bytes() <= block::KEPT);
}

#[test]
fn floods_of_empty_frames_are_counted_and_cost_no_memory() {
    let mut reader = Reader::new(LIMIT);
    let empty_data = frame(0, 0, 1, b"");
    let empty_fragment = frame(9, 0, 3, b"");
    for _ in 0..1000 {
        assert_eq!(read_at(&mut reader, 0, &empty_data), none());
    }
    read_at(&mut reader, 0, &frame(0, 1, 1, b""));
    read_at(&mut reader, 0, &frame(1, 0, 3, b""));
    for _ in 0..1000 {
        assert_eq!(read_at(&mut reader, 0, &empty_fragment), none());
    }
    assert_eq!(reader.held_bytes(), 0);
    let Counters {
        empty_data,
        empty_fragments,
        blocks_cut,
        oversize_frames,
    } = reader.take_counters();
    assert_eq!(
        (empty_data, empty_fragments, blocks_cut, oversize_frames),
        (1000, 1001, 0, 0)
    );
    assert_eq!(reader.take_counters(), Counters::default());
}

#[test]
fn a_frame_over_the_size_allowed_is_counted_and_read() {
    let mut reader = Reader::new(LIMIT);
    reader.set_max_frame_size(3);
    assert_eq!(read_at(&mut reader, 0, &frame(0, 0, 1, b"abc")), ["1: 3 bytes"]);
    assert_eq!(reader.take_counters().oversize_frames, 0);
    assert_eq!(read_at(&mut reader, 0, &frame(0, 0, 1, b"abcd")), ["1: 4 bytes"]);
    assert_eq!(reader.take_counters().oversize_frames, 1);
}

#[test]
fn the_largest_frame_is_read() {
    let mut reader = Reader::new(LIMIT);
    let header = [0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 1];
    assert_eq!(read_at(&mut reader, 0, &header), none());
    let lost = reader.skip_gap(Some((1 << 24) - 2));
    let content = Lost::Content {
        stream: 1,
        bytes: (1 << 24) - 2,
        ends_stream: false,
    };
    assert_eq!(lost, GapEffect::InSync(content));
    assert_eq!(read_at(&mut reader, 0, b"x"), ["1: 1 bytes", "1: end"]);
}
