//! Tests of text output.

use http_decode::Unredacted;

use super::*;
use crate::{
    correlate::{Observed, ObservedKind},
    output::{Zone, sample},
};

fn written(line: &Redacted<Line<'_>>) -> String {
    written_as(Style::default(), std::slice::from_ref(line))
}

fn written_as(style: Style, lines: &[Redacted<Line<'_>>]) -> String {
    let mut bytes = Vec::new();
    let mut sink = Text::new(&mut bytes, style);
    for line in lines {
        sink.write(line).unwrap();
    }
    Box::new(sink).finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_exchange_reads_like_curl() {
    let expected = "\
* 2026-11-21, UTC
* 07:45:00.123 nginx 7-1 openssl 127.0.0.1:8443 <- 127.0.0.1:50312
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
fn the_date_is_a_note_before_the_first_line_and_when_it_changes() {
    let zone = Zone::new(|_| -8 * 3600);
    let style = Style {
        zone,
        ..Style::default()
    };
    let text = written_as(style, &[sample::exchange(), sample::end(), sample::loss()]);
    assert!(
        text.starts_with("* 2026-11-20, UTC-08:00\n* 23:45:00.123 nginx 7-1 "),
        "{text}"
    );
    assert_eq!(text.matches("UTC").count(), 1);
}

#[test]
fn what_few_connections_have_is_a_note_of_its_own() {
    let text = written(&sample::half());
    assert!(
        text.contains(" 127.0.0.1:50312\n* stream 3\n* request not known\n"),
        "{text}"
    );
    assert!(!written(&sample::exchange()).contains("stream"));
}

#[test]
fn an_exchange_of_a_client_points_at_its_peer() {
    let line = sample::exchange_with(|exchange| exchange.side = http_decode::Side::Client);
    assert!(written(&line).contains(" 127.0.0.1:8443 -> 127.0.0.1:50312\n"));
}

#[test]
fn colours_follow_the_status_and_change_no_other_character() {
    let style = Style {
        color: true,
        ..Style::default()
    };
    let text = written_as(style, &[sample::exchange(), sample::loss(), sample::health()]);
    for part in [
        "< HTTP/1.1 \u{1b}[32m200\u{1b}[0m\n",
        "> \u{1b}[36mhost\u{1b}[0m: a.test\n",
        "\u{1b}[31mLOSS\u{1b}[0m of 100 bytes",
        "\u{1b}[33mHEALTH\u{1b}[0m of table",
    ] {
        assert!(text.contains(part), "{part:?}: {text:?}");
    }
    let mut plain = text;
    for code in ["0", "1", "2", "31", "32", "33", "36"] {
        plain = plain.replace(&format!("\u{1b}[{code}m"), "");
    }
    let lines = [sample::exchange(), sample::loss(), sample::health()];
    assert_eq!(plain, written_as(Style::default(), &lines));
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
    assert!(!text.contains('\u{1b}') && text.lines().count() == 3, "{text:?}");
}

#[test]
fn an_audit_line_is_one_note() {
    let text = written(&sample::audit());
    let expected = concat!(
        "AUDIT start of trace (7) on gateway by root (0); logged in as al\\u{1b}ice (1000); terminal pts/0; from sudo; ",
        "sudo says alice; SSH says 192.0.2.7; traces --name nginx --wait; ",
        "only --header authorization: [redacted] --path ^/x\\?token=[redacted]; "
    );
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("secrets: shown; 1 process") && !text.contains("hunter2"),
        "{text}"
    );
    let text = written(&sample::audit_end());
    assert!(
        text.contains("AUDIT end of trace") && text.contains("ended by signal; 5 exchanges; 3 processes traced"),
        "{text}"
    );
    let text = written(&sample::audit_refused());
    assert!(
        text.contains("AUDIT refused start of trace (7)") && text.contains("; because: no process\\u{1b} for x-key="),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_alert_is_one_note() {
    let text = written(&sample::alert());
    let expected = "ALERT warning no-credentials; no credentials\\u{1b} here; request authorization: Bearer [redacted] server name b.test of 127.0.0.1 \
                    3 of 2; nginx 7-1: ? ?/x?token=[redacted] 200\n\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_connection_is_one_note() {
    let expected = "\
* 2026-11-21, UTC
* 07:45:00.123 nginx[1] openssl connection 7, local 127.0.0.1:8443, remote 127.0.0.1:50312 closed: \
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
fn a_hop_shows_the_whole_head_of_a_response_that_refuses_the_request() {
    let refuse = |observed: &mut Observed| {
        if let ObservedKind::Exchange(exchange) = &mut observed.kind
            && let Some(response) = &mut exchange.response
        {
            response.head.status = Some(401);
        }
    };
    let both = sample::hop_with(|hop| {
        hop.downstream.as_deref_mut().map(refuse);
        hop.upstreams
            .iter_mut()
            .for_each(|upstream| refuse(&mut upstream.observed));
    });
    let head = "< HTTP/1.1 401\n< server: nginx\n< x-request-id: abc\n<\n";
    let text = written(&both);
    assert!(
        text.contains(&format!("\n{head}* trailers\n< grpc-status: 0\n+++ 7-9 ")),
        "{text}"
    );
    assert_eq!(text.matches("< HTTP/1.1").count(), 1, "{text}");
    // Nothing is compared with that of an upstream exchange that is alone.
    let alone = sample::hop_with(|hop| {
        hop.downstream = None;
        hop.upstreams
            .iter_mut()
            .for_each(|upstream| refuse(&mut upstream.observed));
    });
    let text = written(&alone);
    assert!(
        text.contains("* answered after 200 us\n< HTTP/1.1 401\n< server: app\n"),
        "{text}"
    );
}

#[test]
fn a_hop_is_coloured_like_a_diff() {
    let color = Style {
        color: true,
        ..Style::default()
    };
    let text = written_as(color, std::slice::from_ref(&sample::hop()));
    for begin in [
        "\u{1b}[1m---\u{1b}[0m 7-1 ",
        "\u{1b}[36m@@ request",
        "\u{1b}[31m-",
        "\u{1b}[32m+",
    ] {
        assert!(text.lines().any(|line| line.starts_with(begin)), "{begin:?}: {text:?}");
    }
    assert!(
        text.lines()
            .all(|line| !line.contains("\u{1b}[3") || line.ends_with("\u{1b}[0m")),
        "{text:?}"
    );
}

#[test]
fn a_hop_reads_like_a_diff() {
    let expected = "\
* 2026-11-21, UTC
* 07:45:00.123 7-1 nginx[1] 202 us in the gateway
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
    let lines: Vec<_> = ambiguous.lines().skip(2).take(2).collect();
    assert_eq!(lines[0], "* downstream exchange one of 7-1, 8-1");
    assert!(lines[1].starts_with("+++ 7-9 "), "{ambiguous}");
}
