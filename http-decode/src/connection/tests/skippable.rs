use super::*;

#[test]
fn content_is_skippable_once_its_first_byte_shows_that_it_is_there() {
    let mut tape = Tape::new();
    tape.push(
        READ,
        "PUT /1 HTTP/1.1\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(tape.connection.skippable_until(READ), None);
    let body = tape.positions[0];
    tape.push(READ, "x");
    assert_eq!(tape.connection.skippable_until(READ), Some(body + 100));
    assert_eq!(tape.connection.skippable_until(WRITE), None);
    tape.push(READ, "x".repeat(99));
    assert_eq!(tape.connection.skippable_until(READ), None);
}

#[test]
fn only_the_chunk_in_progress_is_skippable() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"))
        .push(WRITE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    tape.push(WRITE, "64\r\nx");
    assert_eq!(tape.connection.skippable_until(WRITE), Some(tape.positions[1] + 99));
    let gap = Gap {
        direction: WRITE,
        position: tape.lose(WRITE, 99),
        span: 99,
        cause: GapCause::Skipped,
        at: Some(Timestamp(77)),
    };
    tape.connection.gap(gap);
    assert_eq!(tape.connection.skippable_until(WRITE), Some(tape.positions[1]));
    tape.push(WRITE, "\r\n0\r\n\r\n");
    assert_eq!(tape.lines(), ["/1 200 100"]);
    assert_eq!(tape.connection.counters().skipped_bytes, 99);
    assert_eq!(tape.connection.counters().missing_bytes, 0);
}

#[test]
fn a_body_that_ends_with_its_connection_is_skippable_without_end() {
    let mut tape = Tape::new();
    tape.push(READ, get("/1"))
        .push(WRITE, "HTTP/1.0 200 OK\r\n\r\n")
        .push(WRITE, "x");
    assert_eq!(tape.connection.skippable_until(WRITE), Some(u64::MAX));
    tape.connection.close(Timestamp(99), Ended::Closed, None);
    assert_eq!(tape.connection.skippable_until(WRITE), None);
}

#[test]
fn a_tunnel_is_skippable_in_both_directions() {
    let mut tape = Tape::new();
    tape.push(READ, "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n");
    assert_eq!(tape.connection.skippable_until(READ), None);
    tape.push(WRITE, "HTTP/1.1 200 OK\r\n\r\n");
    for direction in [READ, WRITE] {
        assert_eq!(tape.connection.skippable_until(direction), Some(u64::MAX));
    }
}

#[test]
fn the_content_of_a_frame_is_skippable_and_its_padding_is_not() {
    let mut tape = Tape::new();
    tape.push(READ, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // DATA with END_STREAM and PADDED: 100 bytes, of which 1 is the pad length and 9 are padding.
    tape.push(READ, b"\0\0\x64\0\x09\0\0\0\x01\x09");
    let behind = tape.positions[0] + 90;
    assert_eq!(tape.connection.skippable_until(READ), Some(behind));
    tape.push(READ, [0; 50]);
    assert_eq!(tape.connection.skippable_until(READ), Some(behind));
    tape.push(READ, [0; 40]);
    assert!(
        tape.connection
            .skippable_until(READ)
            .is_none_or(|until| until <= behind)
    );
}
