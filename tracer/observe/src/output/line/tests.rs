//! Tests of one line an exchange.

use http_decode::{Ended, Side, Unredacted};

use super::*;
use crate::output::sample;

fn written(style: Style, lines: &[Redacted<Line<'_>>]) -> String {
    let mut bytes = Vec::new();
    let mut sink = OneLine::new(&mut bytes, style);
    for line in lines {
        sink.write(line).unwrap();
    }
    Box::new(sink).finish().unwrap();
    String::from_utf8(bytes).unwrap()
}

fn wide(width: usize) -> Style {
    Style {
        width,
        ..Style::default()
    }
}

#[test]
fn an_exchange_is_one_line_after_the_date() {
    let expected = "\
* 2026-11-21, UTC
07:45:00.123 200 GET a.test/x?token=[redacte\u{2026}  412us <- 127.0.0.1:50312 abc
07:45:00.123 200 GET a.test/x?token=[redacte\u{2026}  412us <- 127.0.0.1:50312 abc
";
    assert_eq!(
        written(Style::default(), &[sample::exchange(), sample::exchange()]),
        expected
    );
}

#[test]
fn a_wider_line_shows_more() {
    let text = written(wide(100), &[sample::exchange()]);
    let expected = "07:45:00.123 200 GET a.test/x?token=[redacted]                412us <- 127.0.0.1:50312      abc";
    assert_eq!(text.lines().nth(1), Some(expected));
}

#[test]
fn no_line_is_wider_than_it_may_be() {
    for width in 40..200 {
        let lines = [
            sample::exchange(),
            sample::half(),
            sample::loss(),
            sample::summary(),
            sample::health(),
            sample::health_of_output(),
            sample::hooks(),
            sample::alert(),
            sample::audit(),
            sample::audit_end(),
            sample::audit_refused(),
            sample::end(),
            sample::exchange_with(|exchange| {
                let request = exchange.request.as_mut().unwrap();
                request.head.path = Some(Unredacted::new("/\u{65e5}\u{1b}\u{301}".repeat(80).as_bytes()));
                let response = exchange.response.as_mut().unwrap();
                let id = sample::field("x-request-id", &"\u{65e5}".repeat(60));
                response.head.fields = sample::fields([id]);
            }),
        ];
        let text = written(wide(width), &lines);
        // One of the lines is the date.
        assert_eq!(text.lines().count(), lines.len() + 1);
        for line in text.lines() {
            assert!(columns(line) <= width, "{width}: {line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn an_exchange_that_goes_on_is_written_again_with_its_end() {
    let open = sample::exchange_with(|exchange| (exchange.ended, exchange.ended_at) = (None, None));
    let text = written(Style::default(), &[open, sample::end()]);
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "07:45:00.123 200 GET a.test/x?token=[redacte\u{2026}    ... <- 127.0.0.1:50312 abc",
            "07:45:00.123 200 GET a.test/x?token=[redacte\u{2026}  2.00s!<- 127.0.0.1:50312 abc",
        ]
    );
}

#[test]
fn only_the_end_of_an_exchange_that_was_pushed_out_is_written() {
    let mut bytes = Vec::new();
    let mut sink = OneLine::new(&mut bytes, Style::default());
    sink.waiting = Waiting::new(0);
    let open = sample::exchange_with(|exchange| (exchange.ended, exchange.ended_at) = (None, None));
    sink.write(&open).unwrap();
    sink.write(&sample::end()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().last(), Some("* 7-1 closed after 2.00s"));
}

#[test]
fn what_is_unknown_is_a_question_mark() {
    let text = written(Style::default(), &[sample::half()]);
    let expected = "07:45:00.123   ? ?                               ... <- 127.0.0.1:50312";
    assert_eq!(text.lines().nth(1), Some(expected));
    let lost = sample::exchange_with(|exchange| {
        exchange.request = None;
        exchange.ended = Some(Ended::Lost);
        exchange.side = Side::Client;
    });
    let text = written(Style::default(), &[lost]);
    let expected = "07:45:00.123 200 ?                                 ?!-> 127.0.0.1:50312 abc";
    assert_eq!(text.lines().nth(1), Some(expected));
}

#[test]
fn a_failed_grpc_call_shows_its_status() {
    let failed = sample::exchange_with(|exchange| {
        let response = exchange.response.as_mut().unwrap();
        response.trailers = sample::fields([sample::field("grpc-status", "14")]);
    });
    let text = written(Style::default(), &[failed]);
    assert!(text.contains("07:45:00.123 g14 GET"), "{text}");
}

#[test]
fn other_lines_are_notes() {
    let lines = [
        sample::loss(),
        sample::health(),
        sample::health_of_output(),
        sample::hooks(),
    ];
    let expected = "\
* 2026-11-21, UTC
07:45:00.123 LOSS 100 bytes (over_limit), read from 4096 on, nginx 7
07:45:00.123 HEALTH table calls: nearly full, 91 of 100
07:45:00.123 HEALTH output: dropped, 7 dropped
07:45:00.123 HEALTH hooks lift: refused, mismatch, by nginx[1] in /usr/lib/libs\u{2026}
";
    assert_eq!(written(Style::default(), &lines), expected);
    let connection = written(wide(100), &[sample::summary()]);
    assert!(
        connection.contains("CONN 127.0.0.1:8443, 127.0.0.1:50312 closed: fin by remote, "),
        "{connection}"
    );
}

#[test]
fn a_line_is_coloured_by_its_status() {
    let style = Style {
        color: true,
        ..Style::default()
    };
    for (status, code) in [(200, "32"), (302, "36"), (404, "33"), (502, "1;31")] {
        let line = sample::exchange_with(|exchange| {
            exchange.response.as_mut().unwrap().head.status = Some(status);
        });
        let text = written(style.clone(), &[line]);
        let expected = format!("\u{1b}[{code}m{status}\u{1b}[0m GET a.test/x");
        assert!(text.contains(&expected), "{text:?}");
    }
}

#[test]
fn a_duration_has_at_most_six_characters() {
    for (micros, text) in [
        (0, "0us"),
        (999, "999us"),
        (1000, "1.00ms"),
        (9_999, "9.99ms"),
        (10_000, "10.0ms"),
        (99_999, "99.9ms"),
        (999_999, "999ms"),
        (1_000_000, "1.00s"),
        (59_990_000, "59.9s"),
        (9_999_999_999, "9999s"),
        (10_000_000_000, "166min"),
        (6_000_000_000_000, "1666h"),
        (u64::MAX, "99999h"),
    ] {
        assert_eq!(short_duration(micros), text);
        assert!(text.len() <= 6);
    }
}
