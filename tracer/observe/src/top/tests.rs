//! Tests of the board.

use std::time::{Duration, SystemTime};

use http_decode::{Ended, Exchange, Unredacted};

use super::*;
use crate::{
    limits::{MAX_TOP_BYTES, MAX_TOP_EXCHANGE_BYTES, MAX_TOP_EXCHANGES, MAX_TOP_ROWS},
    output::{Error, Sink as _, Style, sample},
    redact::{Line, Redacted},
};

/// Returns a time some milliseconds after the exchanges began.
fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_247_100_000 + millis)
}

fn board() -> (Board, Top) {
    let board = Board::new(Style::default());
    let top = Top::new(board.clone());
    (board, top)
}

fn exchange(path: &str, status: u16) -> Redacted<Line<'static>> {
    changed(path, |exchange| {
        exchange.response.as_mut().unwrap().head.status = Some(status);
    })
}

fn changed(path: &str, change: impl FnOnce(&mut Exchange)) -> Redacted<Line<'static>> {
    sample::exchange_with(|exchange| {
        exchange.request.as_mut().unwrap().head.path = Some(Unredacted::new(path.as_bytes()));
        change(exchange);
    })
}

fn row<'a>(view: &'a View, request: &str) -> &'a Row {
    view.rows.iter().find(|row| row.request == request).unwrap()
}

#[test]
fn rows_have_rates_errors_and_durations_of_the_last_seconds() {
    let (board, mut top) = board();
    top.tick(time(0)).unwrap();
    for number in 0..20 {
        top.write(&exchange(&format!("/users/{number}"), 200)).unwrap();
    }
    top.write(&exchange("/users/7", 503)).unwrap();
    top.write(&sample::loss()).unwrap();
    top.tick(time(5000)).unwrap();
    let view = board.view(Span::Recent);
    assert_eq!((view.clock.as_str(), view.traced), ("07:45:05", Duration::from_secs(5)));
    assert_eq!((view.rows.len(), view.losses, view.lost_bytes), (2, 1, 100));
    let users = view.rows.iter().find(|row| row.status == "2xx").unwrap();
    assert_eq!((users.request.as_str(), users.side), ("GET a.test/users/{}", "server"));
    let expected = Figures {
        requests: 20,
        per_second: 4.0,
        p50_us: Some(412),
        p90_us: Some(412),
        p99_us: Some(412),
        ..Figures::default()
    };
    assert_eq!(users.figures, expected);
    assert_eq!((view.all.requests, view.all.errors), (21, 1));

    // Ten seconds later all of it is older than the last seconds.
    top.tick(time(15_000)).unwrap();
    assert!(board.view(Span::Recent).rows.is_empty());
    let all = board.view(Span::All);
    assert_eq!((all.all.requests, all.rows.len()), (21, 2));
    assert!((all.all.per_second - 1.4).abs() < 1e-9, "{}", all.all.per_second);
}

#[test]
fn a_hop_is_one_row_with_its_upstream_and_the_gateways_share() {
    let (board, mut top) = board();
    top.tick(time(0)).unwrap();
    top.write(&sample::hop()).unwrap();
    let view = board.view(Span::All);
    assert_eq!(view.rows.len(), 1);
    let row = view.rows.first().unwrap();
    assert_eq!(row.side, "server");
    assert!(!row.upstream.is_empty());
    assert!(row.figures.gateway_p50_us.is_some());
    let kept = view.latest.first().unwrap();
    assert!(row.id.has(kept));
    // The heads of the request, and what the gateway changed.
    assert!(kept.text().contains("> GET"), "{}", kept.text());
    assert!(kept.text().contains("@@ request"), "{}", kept.text());
    assert!(
        kept.one_line(&Style::default()).contains("GET a.test/"),
        "{}",
        kept.one_line(&Style::default())
    );
}

#[test]
fn an_exchange_that_goes_on_is_counted_again_when_it_has_ended() {
    let (board, mut top) = board();
    top.tick(time(0)).unwrap();
    let open = changed("/events", |exchange| {
        exchange.ended = None;
        exchange.ended_at = None;
    });
    top.write(&open).unwrap();
    let before = board.view(Span::All);
    assert_eq!((before.all.requests, before.all.p50_us), (1, None));
    top.write(&sample::end()).unwrap();
    let view = board.view(Span::All);
    assert_eq!(view.all.requests, 1);
    assert!(view.all.p50_us.is_some());
    let text = view.latest.first().unwrap().text();
    assert!(text.trim_end().lines().last().unwrap().starts_with("* "), "{text}");
    assert!(text.contains(" after "), "{text}");
}

#[test]
fn what_was_lost_is_shown_in_its_row() {
    let (board, mut top) = board();
    top.tick(time(0)).unwrap();
    top.write(&changed("/lost", |exchange| exchange.ended = Some(Ended::Lost)))
        .unwrap();
    top.write(&exchange("/whole", 200)).unwrap();
    let view = board.view(Span::All);
    assert_eq!(row(&view, "GET a.test/lost").figures.partial, 1);
    assert_eq!(row(&view, "GET a.test/whole").figures.partial, 0);
}

#[test]
fn rows_and_kept_exchanges_are_bounded() {
    let (board, mut top) = board();
    for number in 0..MAX_TOP_ROWS + 5 {
        let route: String = [number / 26, number % 26]
            .map(|letter| char::from(b'a' + u8::try_from(letter).unwrap()))
            .iter()
            .collect();
        top.tick(time(number.try_into().unwrap())).unwrap();
        top.write(&exchange(&format!("/{route}"), 200)).unwrap();
    }
    let view = board.view(Span::All);
    assert_eq!(view.rows.len(), MAX_TOP_ROWS + 1);
    assert_eq!(row(&view, "all other").figures.requests, 5);

    // Of a busy route some are kept, and never more than the bound.
    let (board, mut top) = self::board();
    for number in 0..u64::try_from(MAX_TOP_EXCHANGES).unwrap() + 50 {
        top.tick(time(number * 100)).unwrap();
        top.write(&exchange("/", 200)).unwrap();
        top.write(&exchange("/", 200)).unwrap();
    }
    assert_eq!(board.view(Span::All).latest.len(), MAX_TOP_EXCHANGES);

    let (board, mut top) = self::board();
    top.tick(time(0)).unwrap();
    top.write(&exchange(&format!("/{}", "a/".repeat(MAX_TOP_EXCHANGE_BYTES)), 200))
        .unwrap();
    let view = board.view(Span::All);
    let text = view.latest.first().unwrap().text();
    assert!(text.len() < MAX_TOP_EXCHANGE_BYTES + 100 && text.ends_with("* the rest is left out\n"));

    // Long exchanges push each other out before their number does, and count as much as they have before they are cut.
    let long = exchange(&format!("/{}", "a/".repeat(MAX_TOP_EXCHANGE_BYTES)), 200);
    let most = MAX_TOP_BYTES / (4 * MAX_TOP_EXCHANGE_BYTES);
    for number in 1..=u64::try_from(2 * most).unwrap() {
        top.tick(time(number * 100)).unwrap();
        top.write(&long).unwrap();
    }
    let kept = board.view(Span::All).latest.len();
    assert!((1..=most).contains(&kept), "{kept} of at most {most} are kept");
}

#[test]
fn no_secret_and_no_escape_sequence_is_shown() {
    let (board, mut top) = board();
    top.tick(time(0)).unwrap();
    top.write(&exchange("/x\u{1b}[2J?token=hunter2", 200)).unwrap();
    let view = board.view(Span::All);
    let kept = view.latest.first().unwrap();
    let shown = format!("{:?} {} {}", view.rows, kept.text(), kept.one_line(&Style::default()));
    assert!(!shown.contains("hunter2") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn closing_the_board_ends_the_output() {
    let (board, mut top) = board();
    top.flush().unwrap();
    board.close();
    assert!(matches!(top.flush(), Err(Error::BrokenPipe)));
    assert!(!board.is_finished());
    Box::new(top).finish().unwrap();
    assert!(board.is_finished());
}
