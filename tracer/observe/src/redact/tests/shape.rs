//! Tests of the members of lines other than values.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use http_decode::{Ended, Timestamp};

use super::*;
use crate::redact::Printable;

fn with_ids(request: Option<&str>, response: Option<&str>, rules: Rules) -> Option<Printable<'static>> {
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
fn durations_are_unknown_without_a_request() {
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
fn a_negative_duration_is_zero() {
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
fn an_informational_head_has_complete_only_if_it_is_not() {
    let early = |unknown| ResponseHead {
        status: Some(103),
        unknown,
        ..ResponseHead::default()
    };
    let line = redact(
        Rules::default(),
        Exchange {
            informational: vec![early(0), early(2)],
            ..sample::whole()
        },
    );
    let heads: Vec<_> = line
        .informational
        .iter()
        .map(|head| (head.complete, head.unknown))
        .collect();
    assert_eq!(heads, [(None, None), (Some(false), Some(2))]);
}

#[test]
fn times_out_of_range_are_clamped() {
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
        let kind = ObservedKind::Exchange(Box::new(sample::whole()));
        let observed = crate::correlate::Observed {
            time,
            ..sample::observed(kind, AddressSource::Bio)
        };
        let Line::Exchange(line) = &*redactor(Rules::default()).redact(&observed) else {
            panic!("not an exchange")
        };
        assert_eq!(line.time.as_str(), wanted);
    }
}

#[test]
fn ipv4_mapped_addresses_are_printed_as_ipv4() {
    let mut observed = sample::observed(ObservedKind::Exchange(Box::new(sample::whole())), AddressSource::SetFd);
    let connection = std::sync::Arc::make_mut(&mut observed.connection);
    connection.local = Some("[2001:db8::1]:443".parse::<SocketAddr>().unwrap().into());
    let Line::Exchange(line) = &*redactor(Rules::default()).redact(&observed) else {
        panic!("not an exchange")
    };
    assert_eq!(line.connection.local.as_deref(), Some("[2001:db8::1]:443"));
    assert_eq!(line.connection.remote.as_deref(), Some("127.0.0.1:50312"));
    assert_eq!(line.connection.source, Some("set_fd"));
}
