//! What the reader knows behind a gap.

use super::*;

#[test]
fn a_gap_within_the_preface_takes_nothing() {
    for (gap, expected) in [(4, "InSync(Nothing)"), (5, "OutOfSync(Nothing)")] {
        let mut reader = Reader::at_preface(LIMIT);
        assert_eq!(read_at(&mut reader, 0, &PREFACE[..20]), none());
        assert_eq!(format!("{:?}", reader.skip_gap(Some(gap))), expected);
        let after = read_at(&mut reader, 24, &frame(3, 0, 1, &[0, 0, 0, 8]));
        let known = ["preface", "1: reset 8"];
        assert_eq!(after, if gap == 4 { &known[..] } else { &[] });
    }
}

#[test]
fn a_block_that_began_before_the_reader_is_not_whole() {
    let mut wire = frame(9, 0, 5, b"ab");
    wire.extend(frame(9, 4, 5, b"cd"));
    wire.extend(frame(1, 4, 7, b"ef"));
    assert_eq!(read(&wire), ["5:  and more", "7: ef"]);
    let mut reader = Reader::at_preface(LIMIT);
    wire.splice(0..0, PREFACE.iter().copied());
    assert_eq!(read_at(&mut reader, 0, &wire), ["preface", "malformed at 24: Protocol"]);
}

#[test]
fn a_gap_in_content_is_counted_as_content() {
    let wire = frame(0, 9, 1, b"\x02abcdef..");
    let after = frame(3, 0, 1, &[0; 4]);
    let reset = "1: reset 0";
    for (start, gap, before, lost, behind) in [
        (10, 3, "", "1: 3 bytes", vec!["1: 3 bytes", "1: end", reset]),
        (12, 4, "1: 2 bytes", "1: 4 bytes", vec!["1: end", reset]),
        (12, 5, "1: 2 bytes", "1: 4 bytes", vec!["1: end", reset]),
        (12, 6, "1: 2 bytes", "1: 4 bytes, end", vec![reset]),
        (16, 1, "1: 6 bytes", "nothing", vec!["1: end", reset]),
        (17, 1, "1: 6 bytes", "1: 0 bytes, end", vec![reset]),
        (9, 1, "", "1: unknown", vec!["1: end", reset]),
        (9, 9, "", "1: unknown, end", vec![reset]),
        (9, 10, "", "out of step, 1: unknown, end", vec![]),
        (12, 7, "1: 2 bytes", "out of step, 1: 4 bytes, end", vec![]),
        (8, 1, "", "out of step, nothing", vec![]),
    ] {
        let mut following = wire.get(start + gap..).unwrap_or_default().to_vec();
        following.extend(&after);
        let [first, skipped, second] = read_around(&wire[..start], gap as u64, &following);
        let before = Vec::from_iter(Some(before).filter(|before| !before.is_empty()));
        assert_eq!(
            (first, skipped, second),
            (owned(&before), owned(&[lost]), owned(&behind)),
            "{start}, {gap}"
        );
    }
}

#[test]
fn a_gap_in_a_block_leaves_its_beginning() {
    let mut wire = frame(1, 0x29, 1, b"\x02\0\0\0\x03\x10abcd..");
    wire.extend(frame(9, 4, 1, b"efgh"));
    wire.extend(frame(1, 4, 3, b"ij"));
    for (start, gap, lost, behind) in [
        (9, 1, "1:  and more, end", &["3: ij"][..]),
        (14, 1, "1:  and more, end", &["3: ij"]),
        (17, 2, "1: ab and more, end", &["3: ij"]),
        (17, 4, "1: ab and more, end", &["3: ij"]),
        (17, 5, "out of step, 1: ab and more, end", &[]),
        (19, 2, "nothing", &["1: abcdefgh, end", "3: ij"]),
        (21, 1, "out of step, 1: abcd and more, end", &[]),
        (20, 2, "out of step, 1: abcd and more, end", &[]),
        (32, 1, "1: abcdef and more, end", &["3: ij"]),
        (32, 2, "1: abcdef and more, end", &["3: ij"]),
        (32, 3, "out of step, 1: abcdef and more, end", &[]),
    ] {
        let [first, skipped, second] = read_around(&wire[..start], gap as u64, &wire[start + gap..]);
        assert_eq!(
            (first, skipped, second),
            (none(), owned(&[lost]), owned(behind)),
            "{start}, {gap}"
        );
    }
}

#[test]
fn a_gap_in_the_skipped_rest_of_a_block_reports_nothing_twice() {
    let wire = frame(1, 0, 1, &[b'x'; LIMIT + 2]);
    let mut rest = frame(9, 4, 1, b"yz");
    rest.extend(frame(1, 4, 3, b"ab"));
    let cut = format!("1: {} and more", "x".repeat(LIMIT));
    let [first, skipped, second] = read_around(&wire[..wire.len() - 1], 1, &rest);
    assert_eq!(
        (first, skipped, second),
        (owned(&[&cut]), owned(&["nothing"]), owned(&["3: ab"]))
    );
    let [first, skipped, second] = read_around(&wire, 3, &rest[3..]);
    assert_eq!(
        (first, skipped, second),
        (owned(&[&cut]), owned(&["out of step, nothing"]), none())
    );
}

#[test]
fn a_gap_in_a_control_frame_loses_its_event() {
    let after = frame(3, 0, 9, &[0; 4]);
    let settings = frame(4, 0, 0, &[0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 2]);
    for (wire, start, gap, lost) in [
        (frame(3, 0, 5, &[0; 4]), 11, 2, "5: reset"),
        (frame(3, 0, 5, &[0; 4]), 11, 1, "5: reset"),
        (frame(7, 0, 0, &[0; 12]), 12, 5, "kind 7"),
        (settings.clone(), 15, 1, "kind 4"),
        (settings, 17, 4, "kind 4"),
        (frame(6, 0, 0, &[0; 8]), 10, 7, "nothing"),
        (frame(0xbb, 0, 0, &[0; 8]), 9, 8, "nothing"),
    ] {
        let rest = [&wire[start + gap..], &after].concat();
        let [first, skipped, second] = read_around(&wire[..start], gap as u64, &rest);
        assert_eq!(
            (first, skipped, second),
            (none(), owned(&[lost]), owned(&["9: reset 0"])),
            "{lost}"
        );
    }
    let [first, skipped, _] = read_around(&frame(7, 0, 0, &[0; 12])[..18], 3, &after);
    assert_eq!((first, skipped), (owned(&["goaway 0 0"]), owned(&["nothing"])));
}

#[test]
fn a_gap_of_no_bytes_changes_nothing() {
    let mut reader = Reader::new(LIMIT);
    assert_eq!(reader.skip_gap(Some(0)), GapEffect::InSync(Lost::Nothing));
    assert_eq!(read_at(&mut reader, 0, &frame(1, 4, 1, b"ab")), ["1: ab"]);
}

#[test]
fn out_of_sync_behind_a_gap_nothing_is_read_or_reported_again() {
    let mut reader = Reader::new(LIMIT);
    assert_eq!(read_at(&mut reader, 0, &frame(1, 0, 1, b"ab")), none());
    assert!(matches!(reader.skip_gap(Some(1)), GapEffect::OutOfSync(Lost::Block(_))));
    assert_eq!(read_at(&mut reader, 12, &frame(9, 4, 1, b"cd")), none());
    assert_eq!(reader.skip_gap(Some(1)), GapEffect::OutOfSync(Lost::Nothing));
}
