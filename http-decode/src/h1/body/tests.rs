//! Framing decisions and gaps, where a fixture would hide the branch.

use super::*;
use crate::{Field, Timestamp, Unredacted};

fn response(fields: &[(&str, &str)]) -> ParsedHead<ResponseHead> {
    let fields = fields
        .iter()
        .map(|(name, value)| Field {
            name: Some(*name),
            value: Some(Unredacted::borrowed(value.as_bytes())),
            never_indexed: false,
        })
        .collect();
    ParsedHead {
        head: ResponseHead {
            status: Some(200),
            fields,
            ..ResponseHead::default()
        },
        protocol: Protocol::Http11,
        is_cut: false,
        is_framed: true,
    }
}

fn chunk(bytes: &[u8]) -> Chunk<'_> {
    Chunk {
        position: 0,
        at: Timestamp(0),
        origin: 0,
        call_start: true,
        bytes,
    }
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    for value in ["", "+1", "-1", "1 2", "0x1", "1.0", "1,,2", "18446744073709551616"] {
        assert_eq!(
            Body::of_response(&response(&[("content-length", value)])).unwrap_err(),
            Reason::MalformedBody
        );
    }
    for value in ["1", "01", "1,1", "1, ,1", "18446744073709551615"] {
        assert!(
            matches!(
                Body::of_response(&response(&[("content-length", value)])),
                Ok(Body::Length(_))
            ),
            "{value}"
        );
    }
}

#[test]
fn the_last_coding_of_all_fields_decides() {
    let fields = [("transfer-encoding", "gzip"), ("transfer-encoding", "x, CHUNKED ,")];
    assert!(matches!(Body::of_response(&response(&fields)), Ok(Body::Chunked(_))));
    let fields = [("transfer-encoding", "chunked"), ("transfer-encoding", "gzip")];
    assert!(matches!(Body::of_response(&response(&fields)), Ok(Body::UntilClose)));
}

#[test]
fn chunk_sizes_that_are_none_are_malformed() {
    for line in [
        "\r\n",
        "g\r\n",
        ";a\r\n",
        "-1\r\n",
        "1\x0b\r\n",
        "10000000000000000\r\n",
        "1\r\nxy",
    ] {
        let mut body = Body::chunked();
        let mut bytes = chunk(line.as_bytes());
        let failed = std::iter::repeat_with(|| body.read(&mut bytes, &Limits::DEFAULT))
            .take(4)
            .any(|read| read.is_err());
        assert!(failed, "{line:?}");
    }
}

#[test]
fn a_gap_counts_only_where_there_can_be_no_framing() {
    assert_eq!(Body::Length(5).skip_gap(Some(4)), BodyGap::Content(4));
    assert_eq!(Body::Length(5).skip_gap(Some(5)), BodyGap::RestOfContent(5));
    assert_eq!(Body::Length(5).skip_gap(Some(6)), BodyGap::PastEnd(5));
    assert_eq!(Body::UntilClose.skip_gap(Some(u64::MAX)), BodyGap::Content(u64::MAX));
    let mut body = Body::chunked();
    assert_eq!(body.skip_gap(Some(1)), BodyGap::MaybeFraming);
    let mut bytes = chunk(b"5\r\n1");
    while let Ok(Read::Content(_)) = body.read(&mut bytes, &Limits::DEFAULT) {}
    assert_eq!(body.skip_gap(Some(4)), BodyGap::Content(4));
    assert_eq!(body.skip_gap(Some(1)), BodyGap::MaybeFraming);
}
