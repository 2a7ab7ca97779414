//! Which heads are rejected, and how folded lines are joined.

use super::*;

fn whole(head: &str) -> WholeSection<'_> {
    let is_folded = head.contains("\n ") || head.contains("\n\t");
    WholeSection {
        bytes: head.as_bytes(),
        is_folded,
        lines: head.matches('\n').count(),
        start: HeadStart::Elsewhere,
        cut: None,
    }
}

#[test]
fn malformed_request_heads_are_rejected() {
    for head in [
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\n a: b\r\n\r\n",
        "GET / HTTP/1.1\r\na\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\na: \0\r\n\r\n",
    ] {
        assert_eq!(
            parse_request(&whole(head), &Limits::DEFAULT).unwrap_err(),
            Reason::MalformedHead,
            "{head:?}"
        );
    }
}

#[test]
fn malformed_status_lines_are_rejected() {
    for line in [
        "HTTP/1.1 099 X",
        "HTTP/1.1 20 X",
        "HTTP/1.1 2000 X",
        "HTTP/1.2 200 X",
        "HTTP/1.1  200 X",
    ] {
        let head = format!("{line}\r\n\r\n");
        assert_eq!(
            parse_response(&whole(&head), &Limits::DEFAULT).unwrap_err(),
            Reason::MalformedHead,
            "{line:?}"
        );
    }
}

#[test]
fn a_folded_line_is_joined_with_one_space() {
    let head = "GET / HTTP/1.1\r\na: 1 \r\n \t 2\n\t3\r\nb:\r\n c\r\n\r\n";
    let fields = parse_request(&whole(head), &Limits::DEFAULT).unwrap().head.fields;
    let values = fields
        .iter()
        .map(|field| field.value.as_ref().unwrap().expose())
        .collect::<Vec<_>>();
    assert_eq!(values, [&b"1 2 3"[..], b"c"]);
}
