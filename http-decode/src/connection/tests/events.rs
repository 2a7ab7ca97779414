use super::*;

/// A frame of stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
}

#[test]
fn the_first_event_on_a_stream_of_http2_is_timed() {
    let mut tape = Tape::new();
    tape.connection.mark_from_start();
    tape.push(READ, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    tape.push(READ, b"\0\0\0\x04\0\0\0\0\0");
    tape.push(READ, frame(1, 5, b"\x82\x87\x84\x01\x01a"));
    tape.push(WRITE, b"\0\0\0\x04\0\0\0\0\0");
    tape.push(WRITE, frame(1, 4, b"\x88\x0f\x10\x11text/event-stream"));
    let head = Timestamp(tape.now);
    tape.push(WRITE, frame(0, 0, b": keep\n\n"));
    let first_byte = Timestamp(tape.now);
    tape.push(WRITE, frame(0, 8, b"\x02data: a\n\n\0\0"));
    let first_event = Timestamp(tape.now);
    tape.push(WRITE, frame(0, 1, b"data: b\n\n"));
    let exchanges = tape.settle().exchanges();
    let [exchange] = exchanges.as_slice() else {
        panic!("{exchanges:?}")
    };
    let events = exchange.events.as_ref().unwrap();
    assert_eq!(exchange.head_at, Some(head));
    assert_eq!(
        (events.first_byte_at(), events.first_event_at()),
        (Some(first_byte), Some(first_event))
    );
}

#[test]
fn a_stream_of_events_is_skippable_once_the_first_was_seen() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"));
    tape.push(WRITE, "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    tape.push(WRITE, ": keep\n\n");
    assert_eq!(tape.connection.skippable_until(WRITE), None);
    tape.push(WRITE, "data: a\n\n");
    assert_eq!(tape.connection.skippable_until(WRITE), Some(u64::MAX));
}

#[test]
fn an_event_that_is_too_long_is_counted_and_its_stream_skippable() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"));
    tape.push(WRITE, "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    let length = usize::try_from(crate::limits::MAX_EVENT_BYTES).unwrap();
    tape.push(WRITE, "x".repeat(length));
    assert_eq!(tape.connection.skippable_until(WRITE), None);
    tape.push(WRITE, "x");
    assert_eq!(tape.connection.skippable_until(WRITE), Some(u64::MAX));
    assert_eq!(tape.connection.counters().events_given_up, 1);
}
