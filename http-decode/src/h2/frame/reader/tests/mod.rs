//! Every type of frame.

mod gaps;
mod limits;
mod properties;

use super::*;

const LIMIT: usize = 64;

/// A frame on the wire.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut wire = vec![length[1], length[2], length[3], kind, flags];
    wire.extend(stream.to_be_bytes());
    wire.extend(payload);
    wire
}

fn chunk(position: u64, bytes: &[u8]) -> Chunk<'_> {
    Chunk {
        position,
        at: Timestamp(position),
        origin: 7,
        call_start: true,
        bytes,
    }
}

/// Reads all of `bytes` and shows each event; a block with its bytes as text.
fn read_at(reader: &mut Reader, position: u64, bytes: &[u8]) -> Vec<String> {
    let mut chunk = chunk(position, bytes);
    let mut events = Vec::new();
    while let Some(event) = reader.read(&mut chunk) {
        events.push(show(&event));
        if matches!(event, Event::Malformed { .. }) {
            return events;
        }
    }
    assert!(chunk.bytes.is_empty(), "a chunk is used up");
    events
}

fn read(wire: &[u8]) -> Vec<String> {
    read_at(&mut Reader::new(LIMIT), 0, wire)
}

/// Reads `before`, steps over a gap, and reads `after`.
fn read_around(before: &[u8], gap: u64, after: &[u8]) -> [Vec<String>; 3] {
    let mut reader = Reader::new(LIMIT);
    let events = read_at(&mut reader, 0, before);
    let skipped = match reader.skip_gap(Some(gap)) {
        GapEffect::InSync(lost) => show_lost(&lost),
        GapEffect::OutOfSync(lost) => format!("out of step, {}", show_lost(&lost)),
    };
    [
        events,
        vec![skipped],
        read_at(&mut reader, before.len() as u64 + gap, after),
    ]
}

fn show(event: &Event<'_>) -> String {
    match event {
        Event::Block(block) => show_block(block),
        Event::Content { stream, bytes } => format!("{stream}: {bytes} bytes"),
        Event::EndStream { stream } => format!("{stream}: end"),
        Event::Reset { stream, code } => format!("{stream}: reset {code}"),
        Event::GoAway { last_stream, code } => format!("goaway {last_stream} {code}"),
        Event::Settings(settings) => format!("{settings:?}"),
        Event::Malformed { position, code } => format!("malformed at {position}: {code:?}"),
        Event::Preface => "preface".to_owned(),
        Event::SecondPreface { position } => format!("preface at {position}"),
    }
}

fn show_block(block: &Block<'_>) -> String {
    let promised = block
        .promised
        .map_or(String::new(), |stream| format!(" promises {stream}"));
    let whole = if block.whole { "" } else { " and more" };
    let end = if block.end_stream { ", end" } else { "" };
    format!("{}{promised}: {}{whole}{end}", block.stream, block.bytes.escape_ascii())
}

fn show_lost(lost: &Lost<'_>) -> String {
    match lost {
        Lost::Nothing => "nothing".to_owned(),
        Lost::Content {
            stream,
            bytes,
            ends_stream,
        } => {
            format!("{stream}: {bytes} bytes{}", if *ends_stream { ", end" } else { "" })
        }
        Lost::ContentUnknown { stream, ends_stream } => {
            format!("{stream}: unknown{}", if *ends_stream { ", end" } else { "" })
        }
        Lost::Block(block) => show_block(block),
        Lost::Reset { stream } => format!("{stream}: reset"),
        Lost::Control { kind } => format!("kind {kind}"),
    }
}

fn none() -> Vec<String> {
    Vec::new()
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn the_preface_comes_before_frames() {
    let mut wire = PREFACE.to_vec();
    wire.extend(frame(4, 0, 0, &[]));
    let settings = format!("{:?}", Settings::default());
    let mut reader = Reader::at_preface(LIMIT);
    assert_eq!(read_at(&mut reader, 0, &wire), ["preface", &settings]);
    for length in 0..PREFACE.len() {
        let mut reader = Reader::at_preface(LIMIT);
        assert_eq!(read_at(&mut reader, 0, &wire[..length]), none());
        assert_eq!(
            read_at(&mut reader, length as u64, &wire[length..]),
            ["preface", &settings]
        );
    }
    wire[23] = b'x';
    let malformed = ["malformed at 23: Protocol"];
    assert_eq!(read_at(&mut Reader::at_preface(LIMIT), 0, &wire), malformed);
}

#[test]
fn headers_come_without_padding_and_priority() {
    assert_eq!(read(&frame(1, 5, 1, b"abc")), ["1: abc, end"]);
    assert_eq!(read(&frame(1, 0xc, 1, b"\x02abc..")), ["1: abc"]);
    assert_eq!(read(&frame(1, 0x24, 3, b"\x80\0\0\x01\x10abc")), ["3: abc"]);
    assert_eq!(read(&frame(1, 0x2d, 3, b"\x01\x80\0\0\x01\x10abc.")), ["3: abc, end"]);
    assert_eq!(read(&frame(1, 4, 1, b"")), ["1: "]);
}

#[test]
fn a_promise_has_the_stream_that_it_promises() {
    assert_eq!(read(&frame(5, 4, 1, b"\x80\0\0\x02abc")), ["1 promises 2: abc"]);
    assert_eq!(read(&frame(5, 0xc, 1, b"\x01\0\0\0\x04abc.")), ["1 promises 4: abc"]);
    for promised in [b"\0\0\0\0", b"\0\0\0\x03"] {
        assert_eq!(read(&frame(5, 4, 1, promised)), ["malformed at 0: Protocol"]);
    }
}

#[test]
fn continuations_are_put_together() {
    let mut wire = frame(1, 9, 1, b"\x02ab..");
    wire.extend(frame(9, 0, 1, b""));
    wire.extend(frame(9, 0, 1, b"c"));
    wire.extend(frame(9, 4, 1, b"de"));
    assert_eq!(read(&wire), ["1: abcde, end"]);
    let mut wire = frame(5, 0, 1, b"\0\0\0\x02");
    wire.extend(frame(9, 4, 1, b""));
    assert_eq!(read(&wire), ["1 promises 2: "]);
}

#[test]
fn nothing_comes_between_the_frames_of_a_block() {
    for (kind, flags, stream) in [(9, 4, 3), (1, 4, 1), (0, 0, 1), (6, 0, 0), (0xbb, 0, 1)] {
        let mut wire = frame(1, 0, 1, b"ab");
        wire.extend(frame(kind, flags, stream, &[0; 8]));
        assert_eq!(read(&wire), ["malformed at 11: Protocol"], "kind {kind}");
    }
    let mut wire = frame(1, 4, 1, b"ab");
    wire.extend(frame(9, 4, 1, b"c"));
    assert_eq!(read(&wire), ["1: ab", "malformed at 11: Protocol"]);
}

#[test]
fn content_is_counted_without_padding() {
    assert_eq!(read(&frame(0, 1, 1, b"abc")), ["1: 3 bytes", "1: end"]);
    assert_eq!(read(&frame(0, 9, 1, b"\x02abc..")), ["1: 3 bytes", "1: end"]);
    assert_eq!(read(&frame(0, 0, 1, b"abc")), ["1: 3 bytes"]);
    assert_eq!(read(&frame(0, 1, 1, b"")), ["1: end"]);
    assert_eq!(read(&frame(0, 9, 1, b"\x02..")), ["1: end"]);
    assert_eq!(read(&frame(0, 8, 1, b"\x03..")), ["malformed at 0: Protocol"]);
    assert_eq!(read(&frame(1, 0xc, 1, b"\x02.")), ["malformed at 0: Protocol"]);
    assert_eq!(
        read(&frame(1, 0x2c, 1, b"\x02\0\0\0\0\0.")),
        ["malformed at 0: Protocol"]
    );
}

#[test]
fn control_frames_are_read() {
    assert_eq!(read(&frame(3, 0, 5, &[0, 0, 0, 8])), ["5: reset 8"]);
    assert_eq!(read(&frame(7, 0, 0, b"\x80\0\0\x09\0\0\0\x02because")), ["goaway 9 2"]);
    let settings = [
        [0, 1, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 2],
        [0, 8, 0, 0, 0, 1],
        [0, 5, 0, 0, 64, 0],
    ];
    let expected = Settings {
        ack: false,
        header_table_size: Some(2),
        max_frame_size: Some(16384),
        enable_connect_protocol: Some(true),
    };
    assert_eq!(
        read(&frame(4, 0, 0, settings.as_flattened())),
        [format!("{expected:?}")]
    );
    let ack = Settings::new(true);
    assert_eq!(read(&frame(4, 1, 0, &[])), [format!("{ack:?}")]);
}

#[test]
fn a_parameter_out_of_range_is_ignored() {
    let settings = [[0, 5, 0, 0, 0x3f, 0xff], [0, 8, 0, 0, 0, 2], [0, 2, 0, 0, 0, 9]];
    let expected = format!("{:?}", Settings::default());
    assert_eq!(read(&frame(4, 0, 0, settings.as_flattened())), [expected]);
}

#[test]
fn frames_that_are_not_reported_are_skipped() {
    let mut wire = Vec::new();
    for (kind, flags, stream, length) in [
        (6, 1, 0, 8),
        (2, 0, 1, 5),
        (8, 0, 0, 4),
        (0xbb, 0xff, 9, 300),
        (0xa, 0, 0, 0),
    ] {
        wire.extend(frame(kind, flags, stream, &vec![0; length]));
    }
    wire.extend(frame(3, 0, 1, &[0; 4]));
    assert_eq!(read(&wire), ["1: reset 0"]);
}

#[test]
fn an_error_of_a_stream_keeps_the_reader_in_sync() {
    let mut wire = frame(2, 0, 1, &[0; 4]);
    wire.extend(frame(2, 0, 1, &[0; 6]));
    wire.extend(frame(8, 0, 1, &[0; 4]));
    wire.extend(frame(0, 8, 1, &[]));
    wire.extend(frame(3, 0, 1, &[0; 4]));
    assert_eq!(read(&wire), ["1: reset 0"]);
}

#[test]
fn an_error_of_the_connection_ends_reading() {
    for (kind, stream, length, code) in [
        (0, 0, 1, "Protocol"),
        (1, 0, 1, "Protocol"),
        (2, 0, 5, "Protocol"),
        (3, 1, 3, "FrameSize"),
        (4, 0, 5, "FrameSize"),
        (6, 0, 7, "FrameSize"),
        (7, 0, 7, "FrameSize"),
        (8, 1, 5, "FrameSize"),
    ] {
        let mut reader = Reader::new(LIMIT);
        let mut wire = frame(6, 0, 0, &[0; 8]);
        wire.extend(frame(kind, 0, stream, &vec![0; length]));
        assert_eq!(
            read_at(&mut reader, 0, &wire),
            [format!("malformed at 17: {code}")],
            "kind {kind}"
        );
        assert_eq!(read_at(&mut reader, 100, &frame(1, 4, 1, b"abc")), none());
        assert_eq!(reader.skip_gap(Some(1)), GapEffect::OutOfSync(Lost::Nothing));
    }
}

#[test]
fn behind_a_malformed_frame_the_chunk_is_left_to_the_caller() {
    let mut wire = frame(0, 0, 0, b"");
    wire.extend(b"what follows");
    let mut chunk = chunk(0, &wire);
    let event = Reader::new(LIMIT).read(&mut chunk).map(|event| show(&event));
    assert_eq!(event.as_deref(), Some("malformed at 0: Protocol"));
    assert_eq!(chunk.bytes, b"what follows");
}

#[test]
fn a_second_preface_is_no_frame() {
    let wire = [
        &PREFACE[..],
        &frame(4, 0, 0, b""),
        PREFACE,
        &frame(3, 0, 1, &[0, 0, 0, 8]),
    ]
    .concat();
    let mut reader = Reader::at_preface(LIMIT);
    let events: Vec<String> = wire
        .iter()
        .zip(0..)
        .flat_map(|(byte, position)| read_at(&mut reader, position, &[*byte]))
        .collect();
    assert_eq!(events.last().map(String::as_str), Some("1: reset 8"));
    assert_eq!(
        events
            .iter()
            .filter(|event| event.starts_with("preface"))
            .collect::<Vec<_>>(),
        ["preface", "preface at 33"]
    );
}
