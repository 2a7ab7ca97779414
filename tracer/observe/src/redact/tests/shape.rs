//! What the lines say beside values.

use std::time::{Duration, SystemTime};

use http_decode::{Ended, Timestamp};

use super::*;
use crate::event::Address;

fn with_ids(request: Option<&str>, response: Option<&str>, rules: Rules) -> Option<Box<str>> {
    let fields = |id: Option<&str>| id.map(|id| sample::field("x-request-id", id)).into_iter();
    let mut exchange = exchange("/", "a.test", fields(request).collect());
    exchange.response = exchange.response.map(|seen| Response {
        head: ResponseHead {
            fields: fields(response).collect(),
            ..seen.head
        },
        ..seen
    });
    redact(rules, exchange).request_id
}

#[test]
fn the_responses_request_id_wins() {
    let id = |request, response| with_ids(request, response, Rules::default());
    assert_eq!(id(Some("a"), Some("b")).as_deref(), Some("b"));
    assert_eq!(id(Some("a"), None).as_deref(), Some("a"));
    assert_eq!(id(None, None), None);
}

#[test]
fn a_masked_request_id_is_none() {
    assert_eq!(with_ids(Some("a"), Some("b"), named(&["x-request-id"])), None);
    assert_eq!(with_ids(Some("a"), Some("xbx"), patterned(&["b"])), None);
    assert_eq!(with_ids(Some("a"), Some(""), Rules::default()), None);
}

#[test]
fn times_since_a_request_that_was_not_seen_are_not_known() {
    let line = redact(
        Rules::default(),
        Exchange {
            request: None,
            ..sample::whole()
        },
    );
    assert_eq!(
        (line.head_us, line.duration_us, line.ended),
        (None, None, Some("complete"))
    );
}

#[test]
fn a_clock_that_went_back_gives_no_time_rather_than_much() {
    let exchange = Exchange {
        began: Timestamp(9),
        ended_at: Some(Timestamp(1)),
        ended: Some(Ended::Lost),
        ..sample::whole()
    };
    let line = redact(Rules::default(), exchange);
    assert_eq!((line.duration_us, line.ended), (Some(0), Some("lost")));
}

#[test]
fn an_informational_head_says_only_when_it_is_not_complete() {
    let early = |unknown| ResponseHead {
        status: Some(103),
        fields: Fields::default(),
        unknown,
        malformed: None,
    };
    let line = redact(
        Rules::default(),
        Exchange {
            informational: vec![early(0), early(2)],
            ..sample::whole()
        },
    );
    let said: Vec<_> = line
        .informational
        .iter()
        .map(|head| (head.complete, head.unknown))
        .collect();
    assert_eq!(said, [(None, None), (Some(false), Some(2))]);
}

#[test]
fn no_time_is_out_of_range() {
    for (time, wanted) in [
        (
            SystemTime::UNIX_EPOCH - Duration::from_secs(1),
            "1970-01-01T00:00:00.000000000Z",
        ),
        (
            SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40),
            "9999-12-31T23:59:59.000000000Z",
        ),
    ] {
        let happening = Happening::Exchange(Box::new(sample::whole()));
        let observed = crate::correlate::Observed {
            time,
            ..sample::observed(happening, AddressSource::Bio)
        };
        let Line::Exchange(line) = &*redactor(Rules::default()).redact(&observed) else {
            panic!("not an exchange")
        };
        assert_eq!(line.time, wanted);
    }
}

#[test]
fn only_ipv6_addresses_are_written_as_such() {
    let mut observed = sample::observed(Happening::Exchange(Box::new(sample::whole())), AddressSource::SetFd);
    let connection = std::sync::Arc::make_mut(&mut observed.connection);
    connection.local = Some(Address::Inet("[2001:db8::1]:443".parse().unwrap()));
    let Line::Exchange(line) = &*redactor(Rules::default()).redact(&observed) else {
        panic!("not an exchange")
    };
    assert_eq!(line.connection.local.as_deref(), Some("[2001:db8::1]:443"));
    assert_eq!(line.connection.remote.as_deref(), Some("127.0.0.1:50312"));
    assert_eq!(line.connection.source, Some("set_fd"));
}
