//! Tests of text output.

use http_decode::Unredacted;

use super::*;
use crate::output::sample;

fn written(line: &Redacted<Line<'_>>) -> String {
    let mut bytes = Vec::new();
    let mut sink = Text::new(&mut bytes);
    sink.write(line).unwrap();
    Box::new(sink).finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_exchange_reads_like_curl() {
    let expected = "\
* 2026-11-21T07:45:00.123456789Z 7-1 nginx[1] openssl server connection 7, local 127.0.0.1:8443, remote 127.0.0.1:50312
> GET /x?token=[redacted] HTTP/1.1
> host: a.test
> authorization: Bearer [redacted]
>
< HTTP/1.1 103
< link: </a.css>
<
< HTTP/1.1 200
< server: nginx
< x-request-id: abc
<
* trailers
< grpc-status: 0
* complete, 6 bytes of response body, head after 380 us, end after 412 us
* request id abc

";
    assert_eq!(written(&sample::exchange()), expected);
}

#[test]
fn unknown_values_are_question_marks() {
    let text = written(&sample::half());
    for line in [
        "* request not known",
        "< HTTP/2 ?",
        "< x-tenant: ?",
        "< ?: [redacted]",
        "< ?: ?",
        "* goes on",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn control_characters_are_escaped() {
    assert!(written(&sample::half()).contains("< x-name: \u{e9}\\u{1}\n"));
}

#[test]
fn a_loss_and_an_end_are_notes() {
    assert!(written(&sample::loss()).contains("LOSS of 100 bytes (over_limit), read from position 4096 on"));
    assert!(written(&sample::end()).contains("* closed, 9 bytes of response body, end after 2000000 us\n"));
}

#[test]
fn health_is_one_note() {
    let text = written(&sample::health());
    assert!(
        text.ends_with("HEALTH of table calls: nearly full, 91 of 100\n\n"),
        "{text}"
    );
    let text = written(&sample::health_of_output());
    assert!(text.ends_with("HEALTH of output: dropped, 7 dropped\n\n"), "{text}");
}

#[test]
fn refused_hooks_are_one_note() {
    let text = written(&sample::hooks());
    let expected = "HEALTH of hooks lift: refused, mismatch, by nginx[1] openssl in /usr/lib/libssl.so.3\n\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_name_and_a_path_of_refused_hooks_cannot_control_the_terminal() {
    let text = written(&sample::hooks_of("ng\u{1b}[2Jx", "/opt/a\nb"));
    assert!(!text.contains('\u{1b}') && text.lines().count() == 2, "{text:?}");
}

#[test]
fn a_connection_is_one_note() {
    let expected = "\
* 2026-11-21T07:45:00.123456789Z nginx[1] openssl connection 7, local 127.0.0.1:8443, remote 127.0.0.1:50312 closed: \
fin by remote, opened 2026-11-21T07:44:59.000000005Z, TLSv1.3, TLS_AES_256_GCM_SHA384, alpn h2, server name a.test, \
handshake 1200 us, round trip 40 us, 0 retransmits, 2000 bytes received, 3000 acknowledged, 100 read, 200 written, \
3 exchanges

";
    assert_eq!(written(&sample::summary()), expected);
}

#[test]
fn a_server_name_cannot_break_the_line() {
    let line = sample::summary_with(|summary| {
        let tls = summary.tls.as_mut().unwrap();
        tls.server_name = Some(Unredacted::new(b"a\nb\x1b[2J"));
    });
    let text = written(&line);
    assert!(text.contains(r"server name a\nb\u{1b}[2J, "), "{text}");
}

#[test]
fn a_hop_reads_like_a_diff() {
    let expected = "\
* 2026-11-21T07:45:00.123456789Z 7-1 nginx[1] 202 us in the gateway
--- 7-1 GET /x?token=[redacted] at a.test: 200, 412 us, connection 7, local 127.0.0.1:8443, remote 127.0.0.1:50312
+++ 7-9 GET /y?token=[redacted] at a.test: 201, 210 us, connection 7, local 127.0.0.1:8443, remote 127.0.0.1:50312, \
joined by request-id, connection reused
* answered after 200 us
@@ request
-:path: /x?token=[redacted]
+:path: /y?token=[redacted]
-authorization: Bearer [redacted]
+authorization: Bearer [redacted] (changed)
+x-request-id: abc
@@ response
-:status: 201
+:status: 200
-server: app
+server: nginx
-x-powered-by: app
+x-request-id: abc

";
    assert_eq!(written(&sample::hop()), expected);
    let ambiguous = written(&sample::ambiguous());
    let lines: Vec<_> = ambiguous.lines().take(3).collect();
    assert_eq!(lines[1], "* downstream exchange one of 7-1, 8-1");
    assert!(lines[2].starts_with("+++ 7-9 "), "{ambiguous}");
}
