//! What a head is refused for, and how a target is parted.

use super::*;

fn whole(head: &str) -> Whole<'_> {
    let folded = head.contains("\n ") || head.contains("\n\t");
    Whole {
        bytes: head.as_bytes(),
        folded,
        lines: head.matches('\n').count(),
        place: Place::Inside,
        cut: None,
    }
}

#[test]
fn refused_request_heads() {
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
fn refused_status_lines() {
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
fn targets_in_their_parts() {
    for (method, target, scheme, authority, path) in [
        ("GET", "/a?b", None, None, Some("/a?b")),
        ("GET", "//a/b", None, None, Some("//a/b")),
        ("GET", "/to?u=http://b/c", None, None, Some("/to?u=http://b/c")),
        ("GET", "http://a:1/b?c", Some("http"), Some("a:1"), Some("/b?c")),
        ("GET", "http://a?c", Some("http"), Some("a"), Some("?c")),
        ("OPTIONS", "*", None, None, Some("*")),
        ("CONNECT", "a:443", None, Some("a:443"), None),
    ] {
        let parts = split_target(method, target.as_bytes());
        assert_eq!(
            (parts.scheme, parts.authority, parts.path),
            (scheme, authority.map(str::as_bytes), path.map(str::as_bytes)),
            "{method} {target}"
        );
    }
}

#[test]
fn a_fold_becomes_one_space() {
    let head = "GET / HTTP/1.1\r\na: 1 \r\n \t 2\n\t3\r\nb:\r\n c\r\n\r\n";
    let fields = parse_request(&whole(head), &Limits::DEFAULT).unwrap().head.fields;
    let values = fields
        .iter()
        .map(|field| field.value.as_ref().unwrap().expose())
        .collect::<Vec<_>>();
    assert_eq!(values, [&b"1 2 3"[..], b"c"]);
}
