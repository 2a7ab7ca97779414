//! Tests of which ids are found.

use http_decode::{Request, Response};
use proptest::{prelude::any, prop_assert, prop_assert_eq, proptest};

use super::{header::DEFAULT, *};
use crate::output::sample::{self, OwnedField, field};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// [`TRACE`] without its version.
const REST: &str = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn exchange(request: Vec<OwnedField>, response: Vec<OwnedField>) -> Exchange {
    let mut exchange = sample::whole();
    if let Some(Request { head, .. }) = &mut exchange.request {
        head.fields = request.into_iter().collect();
    }
    if let Some(Response { head, .. }) = &mut exchange.response {
        head.fields = response.into_iter().collect();
    }
    exchange
}

fn text(id: Option<&Id<'_>>) -> Option<String> {
    id.map(|id| String::from_utf8_lossy(id.value().expose()).into_owned())
}

fn request_id(headers: &IdHeaders, exchange: &Exchange) -> Option<String> {
    text(headers.find(exchange).request_id.as_ref())
}

fn found(request: &[(&str, &str)], response: &[(&str, &str)]) -> Option<String> {
    let fields = |fields: &[(&str, &str)]| fields.iter().map(|(name, value)| field(name, value)).collect();
    request_id(&IdHeaders::default(), &exchange(fields(request), fields(response)))
}

fn listed(names: &[&str]) -> IdHeaders {
    IdHeaders::new(names.iter().map(|name| name.parse().unwrap()).collect())
}

#[test]
fn the_first_header_of_the_list_wins_wherever_it_is() {
    let values = [
        "id",
        "id",
        "Root=id",
        "4bf92f3577b34da6a3ce929d0e0e4736/1",
        "id",
        TRACE,
        "00f067aa0ba902b7-00f067aa0ba902b7",
        "00f067aa0ba902b7",
    ];
    let ids = [
        "id",
        "id",
        "id",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "id",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
        "00f067aa0ba902b7",
    ];
    let fields: Vec<_> = DEFAULT.into_iter().zip(values).collect();
    for (first, id) in ids.iter().enumerate() {
        let backwards: Vec<_> = fields[first..].iter().copied().rev().collect();
        for fields in [&fields[first..], &backwards] {
            assert_eq!(found(fields, &[]).as_deref(), Some(*id), "{fields:?}");
            assert_eq!(found(&[], fields).as_deref(), Some(*id), "{fields:?}");
        }
    }
}

#[test]
fn the_request_comes_before_the_response() {
    let (request, response) = ([("x-request-id", "a")], [("x-request-id", "b")]);
    assert_eq!(found(&request, &response).as_deref(), Some("a"));
    assert_eq!(found(&[("request-id", "a")], &response).as_deref(), Some("a"));
    assert_eq!(found(&[], &response).as_deref(), Some("b"));
    assert_eq!(found(&[("x-request-id", "")], &response).as_deref(), Some("b"));
    assert_eq!(found(&[], &[]), None);
}

#[test]
fn an_id_that_is_not_known_is_not_replaced_by_another() {
    let unknown = |name: &str| OwnedField {
        value: None,
        ..field(name, "")
    };
    let other = || vec![field("request-id", "b")];
    let ids = IdHeaders::default();
    let late = exchange([vec![unknown("x-request-id")], other()].concat(), other());
    assert_eq!(request_id(&ids, &late), None);
    // A field that is behind in the list does not matter.
    let late = exchange(vec![unknown("b3"), field("request-id", "a")], other());
    assert_eq!(request_id(&ids, &late).as_deref(), Some("a"));
    let nameless = OwnedField {
        name: None,
        ..field("", "a")
    };
    let late = exchange(vec![nameless], other());
    assert_eq!(request_id(&ids, &late).as_deref(), Some("b"));
}

#[test]
fn a_list_of_the_user_replaces_the_default_one() {
    let ids = listed(&["X-Tenant", "b3"]);
    let fields = vec![field("x-request-id", "a"), field("x-tenant", "b")];
    assert_eq!(request_id(&ids, &exchange(fields, vec![])).as_deref(), Some("b"));
    let fields = vec![field("x-request-id", "a"), field("traceparent", TRACE)];
    let exchange = exchange(fields, vec![]);
    let found = ids.find(&exchange);
    assert_eq!(text(found.request_id.as_ref()), None);
    assert_eq!(
        (text(found.trace_id.as_ref()), text(found.parent_id.as_ref())),
        (
            Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            Some("00f067aa0ba902b7".to_owned())
        )
    );
    for name in ["", "two words", "a:b", "caf\u{e9}"] {
        assert!(name.parse::<IdHeader>().is_err(), "{name}");
    }
}

#[test]
fn a_trace_is_that_of_the_only_traceparent_of_the_request() {
    let trace = || field("traceparent", TRACE);
    let ids = IdHeaders::default();
    let trace_id = |exchange: &Exchange| text(ids.find(exchange).trace_id.as_ref());
    assert!(trace_id(&exchange(vec![trace()], vec![])).is_some());
    assert!(trace_id(&exchange(vec![trace(), trace()], vec![])).is_none());
    assert!(trace_id(&exchange(vec![], vec![trace()])).is_none());
}

#[test]
fn a_traceparent_must_be_in_grammar() {
    let (later, alone) = (format!("cc{REST}-more"), format!("cc{REST}"));
    for valid in [TRACE, &later, &alone] {
        assert_eq!(grammar::traceparent(valid.as_bytes()), Some([3..35, 36..52]), "{valid}");
    }
    let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let zero_parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
    for invalid in [
        "",
        TRACE.trim_end_matches('1'),
        &format!("{TRACE}-more"),
        &format!("{TRACE}0"),
        alone.trim_end_matches('1'),
        &format!("{alone}0"),
        &format!("ff{REST}"),
        &TRACE.to_ascii_uppercase(),
        &TRACE.replace('-', "_"),
        &zero_trace,
        &zero_parent,
    ] {
        assert_eq!(grammar::traceparent(invalid.as_bytes()), None, "{invalid}");
    }
}

#[test]
fn the_ids_of_amazon_google_and_b3_are_parts_of_values() {
    let amazon = "Self=1-a; Root=1-67891233-abcdef012345678912345678;Sampled=1";
    let part = grammar::amazon_root(amazon.as_bytes()).unwrap();
    assert_eq!(amazon.get(part).unwrap(), "1-67891233-abcdef012345678912345678");
    for none in ["", "Self=1-a", "Root=", "root=1"] {
        assert_eq!(grammar::amazon_root(none.as_bytes()), None, "{none}");
    }
    let trace = "105445aa7843bc8bf206b12000100000";
    for valid in [trace, &format!("{trace}/1;o=1"), &format!("{trace};o=1")] {
        assert_eq!(grammar::cloud_trace(valid.as_bytes()), Some(0..32), "{valid}");
    }
    for invalid in ["", "/1", "x05445aa7843bc8bf206b12000100000/1", &format!("{trace}0/1")] {
        assert_eq!(grammar::cloud_trace(invalid.as_bytes()), None, "{invalid}");
    }
    for (valid, length) in [
        (
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
            32,
        ),
        ("64fe8b2a57d3eff7-e457b5a2e4d86bd1", 16),
    ] {
        assert_eq!(grammar::b3(valid.as_bytes()), Some(0..length), "{valid}");
    }
    for invalid in [
        "",
        "0",
        "d",
        "64fe8b2a57d3eff7",
        "64fe8b2a57d3eff7-1",
        "64fe-e457b5a2e4d86bd1",
    ] {
        assert_eq!(grammar::b3(invalid.as_bytes()), None, "{invalid}");
    }
}

proptest! {
    #[test]
    fn an_id_is_a_part_of_its_field(name in 0..DEFAULT.len(), value in any::<Vec<u8>>()) {
        let fields = vec![OwnedField {
            value: Some(Unredacted::new(&value)),
            ..field(DEFAULT[name], "")
        }];
        let exchange = exchange(fields, vec![]);
        if let Some(id) = IdHeaders::default().find(&exchange).request_id {
            prop_assert!(!id.part.is_empty() && id.part.end <= value.len());
            prop_assert_eq!(id.value().expose(), &value[id.part.clone()]);
        }
    }

    #[test]
    fn generated_traces_are_found(trace in 1_u128.., parent in 1_u64.., flags in any::<u8>()) {
        let value = format!("00-{trace:032x}-{parent:016x}-{flags:02x}");
        prop_assert_eq!(grammar::traceparent(value.as_bytes()), Some([3..35, 36..52]));
        let b3 = format!("{trace:032x}-{parent:016x}-1");
        prop_assert_eq!(grammar::b3(b3.as_bytes()), Some(0..32));
    }
}
