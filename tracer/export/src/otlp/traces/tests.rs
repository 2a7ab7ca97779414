//! Tests of the places of spans.

use super::*;
use crate::otlp::sample::{exchange, hop, upstream};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "0af7651916cd43dd8448eb211c80319c";

fn traced(mut line: ExchangeLine<'static>, trace: &'static str, parent: &'static str) -> ExchangeLine<'static> {
    line.trace_id = Some(trace.into());
    line.parent_id = Some(parent.into());
    line
}

#[test]
fn an_exchange_is_below_the_parent_that_its_request_names() {
    let place = alone(&traced(exchange(), TRACE, "00f067aa0ba902b7"));
    assert_eq!(place.trace[..2], [0x4b, 0xf9]);
    assert_eq!(
        place.parent,
        Some(Parent::Remote([0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]))
    );
    let root = alone(&exchange());
    assert_eq!((root.parent, root), (None, alone(&exchange())));
    assert_ne!(root.trace, alone(&upstream("7-2-1")).trace);
    assert_ne!(root.span, alone(&upstream("7-2-1")).span);
}

#[test]
fn upstream_exchanges_are_below_the_downstream_one() {
    let mut traces = Traces::default();
    let places = traces.places(&hop(Some(exchange()), vec![upstream("7-2-1"), upstream("7-3-1")], &[]));
    let [down, first, second] = &places[..] else {
        panic!("{places:?}")
    };
    assert_eq!(down.parent, None);
    for up in [first, second] {
        assert_eq!(
            (up.trace, up.parent, up.link),
            (down.trace, Some(Parent::Local(down.span)), None)
        );
    }
    assert_ne!(first.span, second.span);
}

#[test]
fn a_traceparent_that_is_passed_on_gives_no_link_and_another_does() {
    let mut traces = Traces::default();
    let client = traced(exchange(), TRACE, "00f067aa0ba902b7");
    let passed = traced(upstream("7-2-1"), TRACE, "00f067aa0ba902b7");
    let own = traced(upstream("7-3-1"), TRACE, "1111111111111111");
    let anew = traced(upstream("7-4-1"), OTHER, "2222222222222222");
    let places = traces.places(&hop(Some(client), vec![passed, own, anew], &[]));
    let [down, passed, own, anew] = &places[..] else {
        panic!("{places:?}")
    };
    for up in [passed, own, anew] {
        assert_eq!((up.trace, up.parent), (down.trace, Some(Parent::Local(down.span))));
    }
    assert_eq!((passed.link, own.link), (None, Some((down.trace, [0x11; 8]))));
    assert_eq!(anew.link.map(|(trace, span)| (trace[0], span)), Some((0x0a, [0x22; 8])));
}

#[test]
fn a_trace_that_the_gateway_begins_is_that_of_both() {
    let mut traces = Traces::default();
    let begun = traced(upstream("7-2-1"), TRACE, "1111111111111111");
    let places = traces.places(&hop(Some(exchange()), vec![begun.clone()], &[]));
    let [down, up] = &places[..] else { panic!("{places:?}") };
    assert_eq!((down.trace, down.parent), (trace_id(&begun).unwrap(), None));
    assert_eq!((up.trace, up.parent), (down.trace, Some(Parent::Local(down.span))));
}

#[test]
fn an_exchange_that_is_joined_later_is_below_the_one_that_was_sent() {
    let mut traces = Traces::default();
    let sent = traces.places(&hop(Some(exchange()), Vec::new(), &[]));
    let late = traces.places(&hop(None, vec![upstream("7-2-1")], &["7-1-1"]));
    assert_eq!(
        (late[0].trace, late[0].parent),
        (sent[0].trace, Some(Parent::Local(sent[0].span)))
    );
    for candidates in [&[][..], &["7-9-1"], &["7-1-1", "7-9-1"]] {
        let alone = traces.places(&hop(None, vec![upstream("7-2-1")], candidates));
        assert_eq!(alone[0].parent, None);
    }
}

#[test]
fn few_traces_are_remembered() {
    let mut traces = Traces::default();
    for number in 0..=MAX_REMEMBERED {
        let mut line = exchange();
        line.id = format!("7-{number}-1");
        traces.places(&hop(Some(line), Vec::new(), &[]));
    }
    assert_eq!(
        (traces.remembered.len(), traces.order.len()),
        (MAX_REMEMBERED, MAX_REMEMBERED)
    );
    assert!(!traces.remembered.contains_key("7-0-1"));
}
