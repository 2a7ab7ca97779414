//! Tests of the members of lines other than values.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use http_decode::{Ended, Timestamp};

use super::*;
use crate::{ids::IdHeaders, redact::Printable};

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
fn the_requests_id_wins() {
    let id = |request, response| with_ids(request, response, Rules::default());
    assert_eq!(id(Some("a"), Some("b")).as_deref(), Some("a"));
    assert_eq!(id(None, Some("b")).as_deref(), Some("b"));
    assert_eq!(id(None, None), None);
}

#[test]
fn a_request_id_is_masked_like_its_field() {
    let id = |value, rules| with_ids(Some(value), None, rules);
    assert_eq!(id("a", named(&["x-request-id"])).as_deref(), Some("[redacted]"));
    assert_eq!(id("xbx", patterned(&["b"])).as_deref(), Some("x[redacted]x"));
    assert_eq!(id("", Rules::default()), None);
}

#[test]
fn no_header_with_ids_lets_a_secret_out() {
    let masked = |name: &str, value: &str, masked: &str| {
        let headers = IdHeaders::new(vec![name.parse().unwrap()]);
        let mut redactor = redactor(Rules::default()).with_id_headers(headers);
        let exchange = exchange("/", "a.test", vec![sample::field(name, value)]);
        let line = redact_with(&mut redactor, exchange);
        assert_eq!(line.request_id.as_deref(), Some(masked), "{name}");
    };
    masked("authorization", "Bearer hunter2", "Bearer [redacted]");
    masked("cookie", "id=hunter2", "id=[redacted]");
    masked("x-api-key", "hunter2", "[redacted]");
    masked(
        "x-upstream",
        "https://a.test/?token=hunter2",
        "https://a.test/?token=[redacted]",
    );
    masked("x-amzn-trace-id", "Root=/?token=hunter2", "/?token=[redacted]");
    // A name that may be a secret itself hides the value, too.
    masked(
        "hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2",
        "a",
        "[redacted]",
    );
}

#[test]
fn a_part_of_a_masked_field_is_masked() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let exchange = || exchange("/", "a.test", vec![sample::field("traceparent", trace)]);
    let ids = |rules| {
        let line = redact(rules, exchange());
        [line.request_id, line.trace_id, line.parent_id].map(|id| id.unwrap().to_string())
    };
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(ids(Rules::default()), [trace_id, trace_id, "00f067aa0ba902b7"]);
    assert_eq!(ids(named(&["traceparent"])), ["[redacted]"; 3]);
    assert_eq!(
        ids(patterned(&["4736-00f0"])),
        [
            "4bf92f3577b34da6a3ce929d0e0e[redacted]",
            "4bf92f3577b34da6a3ce929d0e0e[redacted]",
            "[redacted]67aa0ba902b7",
        ]
    );
}

#[test]
fn a_session_is_a_fingerprint_that_its_requests_have_in_common() {
    let mut redactor = redactor(Rules::default());
    let mut session = |request: Option<&str>, response: Option<&str>| {
        let fields = |id: Option<&str>| id.map(|id| sample::field("mcp-session-id", id)).into_iter();
        let mut exchange = exchange("/mcp", "a.test", fields(request).collect());
        exchange.response = exchange.response.map(|seen| Response {
            head: ResponseHead {
                fields: fields(response).collect(),
                ..seen.head
            },
            ..seen
        });
        let line = redact_with(&mut redactor, exchange);
        assert!(!format!("{line:?}").contains("hunter"), "{line:?}");
        line.session
    };
    let first = session(None, Some("hunter2")).unwrap();
    assert!(
        first.len() == 16 && first.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{first}"
    );
    assert_eq!(session(Some("hunter2"), None).as_deref(), Some(first.as_str()));
    assert_eq!(
        session(Some("hunter2"), Some("hunter3")).as_deref(),
        Some(first.as_str())
    );
    assert_ne!(session(Some("hunter3"), None), Some(first));
    assert_eq!(session(None, None), None);
    assert_eq!(session(Some(""), None), None);
    assert_eq!(session(Some("[redacted]"), None), None);
}

#[test]
fn a_session_has_the_fingerprint_of_its_mask_if_there_is_a_key() {
    let rules = Rules {
        fingerprint: Some(crate::redact::FingerprintKey::from_file_bytes(&[7; 32]).unwrap()),
        ..Rules::default()
    };
    let fields = vec![sample::field("mcp-session-id", "hunter2")];
    let line = redact(rules, exchange("/mcp", "a.test", fields));
    let masked = line.request.unwrap().headers[0].1.clone().unwrap();
    assert_eq!(*masked, format!("[redacted:{}]", line.session.unwrap()));
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
