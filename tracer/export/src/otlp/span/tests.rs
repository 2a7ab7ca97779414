//! Tests of spans: their attributes are those of the semantic conventions.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tracer_observe::redact::{ProxiedLine, RequestLine};

use super::*;
use crate::otlp::{
    sample::{exchange, field, upstream},
    traces::alone,
};

fn span_with(line: &ExchangeLine<'_>, captured: Captured) -> Span {
    let options = SpanOptions {
        captured,
        methods: ["GET", "POST", "CONNECT"].map(str::to_owned).to_vec(),
    };
    let mut encoded = begin(line, &alone(line), InHop::default(), &options).encode_to_vec();
    encoded.extend(end(line.time.since_epoch(), &End::of(line)).encode_to_vec());
    Span::decode(encoded.as_slice()).unwrap()
}

fn span(line: &ExchangeLine<'_>) -> Span {
    span_with(line, Captured::None)
}

/// Returns the attributes as text. None is there twice.
fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Value| {
        if let Value::StringValue(text) = value {
            return text.clone();
        }
        let Value::IntValue(number) = value else {
            panic!("{value:?}")
        };
        number.to_string()
    };
    let pairs = span.attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref()).unwrap();
        (attribute.key.clone(), text(value))
    });
    let attributes: BTreeMap<_, _> = pairs.collect();
    assert_eq!(attributes.len(), span.attributes.len());
    attributes
}

fn request<'a, 'b>(line: &'a mut ExchangeLine<'b>) -> &'a mut RequestLine<'b> {
    line.request.as_mut().unwrap()
}

fn assert_attributes(line: &ExchangeLine<'_>, expected: &[(&str, Option<&str>)]) {
    let found = attributes(&span(line));
    for (key, value) in expected {
        assert_eq!(found.get(*key).map(String::as_str), *value, "{key}: {found:?}");
    }
}

#[test]
fn a_server_span_has_what_the_conventions_ask_for() {
    let line = exchange();
    let span = span(&line);
    assert_eq!((span.name.as_str(), span.kind), ("GET", SpanKind::Server as i32));
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 412_000);
    assert_eq!(
        (span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()),
        (16, 8, 0)
    );
    assert_eq!((&span.status, span.flags), (&None, 0));
    let expected = [
        ("client.address", "::1"),
        ("http.request.body.size", "0"),
        ("http.request.method", "GET"),
        ("http.response.body.size", "6"),
        ("http.response.status_code", "200"),
        ("network.local.address", "127.0.0.1"),
        ("network.local.port", "8443"),
        ("network.peer.address", "::1"),
        ("network.peer.port", "50312"),
        ("network.protocol.version", "1.1"),
        ("server.address", "a.test"),
        ("server.port", "443"),
        ("tlscope.connection.id", "7-1"),
        ("tlscope.ended", "complete"),
        ("tlscope.head_us", "380"),
        ("tlscope.id", "7-1-1"),
        ("tlscope.request_id", "abc"),
        ("tlscope.tls", "openssl"),
        ("url.path", "/x"),
        ("url.query", "token=[redacted]"),
        ("url.scheme", "https"),
        ("user_agent.original", "curl/8"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(attributes(&span), BTreeMap::from(expected));
}

#[test]
fn a_client_span_has_the_whole_url() {
    let line = upstream("7-2-1");
    assert_eq!(span(&line).kind, SpanKind::Client as i32);
    assert_attributes(
        &line,
        &[
            ("url.full", Some("https://a.test/x?token=[redacted]")),
            ("server.address", Some("a.test")),
            ("server.port", Some("443")),
            ("url.path", None),
            ("url.scheme", None),
            ("client.address", None),
            ("user_agent.original", None),
        ],
    );
    // Without an authority, the server is known by its address.
    let mut line = line;
    request(&mut line).authority = None;
    assert_attributes(
        &line,
        &[
            ("url.full", None),
            ("server.address", Some("::1")),
            ("server.port", Some("50312")),
        ],
    );
}

#[test]
fn a_method_that_is_not_known_is_other() {
    let mut line = exchange();
    request(&mut line).method = Some("get".into());
    assert_eq!(span(&line).name, "HTTP");
    assert_attributes(
        &line,
        &[
            ("http.request.method", Some("_OTHER")),
            ("http.request.method_original", Some("get")),
        ],
    );
    line.request = None;
    assert_eq!(span(&line).name, "HTTP");
    assert_attributes(
        &line,
        &[
            ("http.request.method", Some("_OTHER")),
            ("http.request.method_original", None),
            ("url.path", None),
            ("http.response.status_code", Some("200")),
        ],
    );
}

#[test]
fn proxies_say_who_the_client_was_and_what_it_asked() {
    let mut line = exchange();
    line.connection.proxied = Some(ProxiedLine {
        source: "192.0.2.9:1".to_owned(),
        destination: "192.0.2.1:443".to_owned(),
    });
    assert_attributes(
        &line,
        &[
            ("client.address", Some("192.0.2.9")),
            ("network.peer.address", Some("::1")),
        ],
    );
    request(&mut line).headers = vec![
        field("x-forwarded-for", "203.0.113.7, 10.0.0.1"),
        field("x-forwarded-host", "shop.test"),
        field("x-forwarded-proto", "http"),
    ];
    assert_attributes(
        &line,
        &[
            ("client.address", Some("203.0.113.7")),
            ("server.address", Some("shop.test")),
            ("url.scheme", Some("http")),
        ],
    );
}

#[test]
fn an_error_is_of_the_side_and_has_a_type() {
    let status = |span: &Span| span.status.as_ref().map(|status| (status.code, status.message.clone()));
    let error = Some((StatusCode::Error as i32, String::new()));
    for (code, server, client) in [(404, None, error.clone()), (503, error.clone(), error.clone())] {
        for (mut line, expected) in [(exchange(), server), (upstream("7-2-1"), client)] {
            line.response.as_mut().unwrap().status = Some(code);
            let code = code.to_string();
            assert_eq!(status(&span(&line)), expected, "{code} {}", line.side);
            assert_attributes(&line, &[("error.type", expected.as_ref().map(|_| code.as_str()))]);
        }
    }
    let mut line = exchange();
    (line.response, line.ended) = (None, Some("reset"));
    assert_eq!(status(&span(&line)), error);
    assert_attributes(
        &line,
        &[("error.type", Some("reset")), ("http.response.status_code", None)],
    );
}

#[test]
fn a_grpc_call_has_its_status() {
    let mut line = upstream("7-2-1");
    line.grpc_status = Some(14);
    assert_attributes(
        &line,
        &[
            ("rpc.system", Some("grpc")),
            ("rpc.grpc.status_code", Some("14")),
            ("error.type", Some("UNAVAILABLE")),
        ],
    );
}

#[test]
fn a_unix_socket_is_an_address_without_a_port() {
    let mut line = exchange();
    line.connection.local = Some("unix:/run/x.sock".into());
    line.connection.remote = Some("unix:".into());
    assert_attributes(
        &line,
        &[
            ("network.transport", Some("unix")),
            ("network.local.address", Some("/run/x.sock")),
            ("network.local.port", None),
            ("network.peer.address", None),
            ("client.address", None),
        ],
    );
}

#[test]
fn header_fields_are_lists_and_only_on_request() {
    let line = exchange();
    let header = |span: &Span, key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        let Some(Value::ArrayValue(list)) = &found.value.as_ref()?.value else {
            panic!("{found:?}")
        };
        let texts = list.values.iter().map(|value| {
            let Some(Value::StringValue(text)) = &value.value else {
                panic!("{value:?}")
            };
            text.clone()
        });
        Some(texts.collect::<Vec<_>>())
    };
    let all = span_with(&line, Captured::All);
    assert_eq!(header(&all, "http.request.header.host").unwrap(), ["a.test"]);
    assert_eq!(
        header(&all, "http.response.header.set-cookie").unwrap(),
        ["a=[redacted]", "b=[redacted]"]
    );
    assert_eq!(
        header(&all, "http.request.header.x-late"),
        None,
        "its value is not known"
    );
    let named = span_with(&line, "Server,x-late".parse().unwrap());
    assert_eq!(header(&named, "http.response.header.server").unwrap(), ["nginx"]);
    assert_eq!(header(&named, "http.request.header.host"), None);
    assert!(
        !span(&line)
            .attributes
            .iter()
            .any(|attribute| attribute.key.contains(".header."))
    );
}

#[test]
fn the_trace_state_and_the_parent_come_with_the_request() {
    let mut line = exchange();
    request(&mut line).headers.push(field("tracestate", "a=b"));
    assert_eq!(span(&line).trace_state, "");
    line.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
    line.parent_id = Some("00f067aa0ba902b7".into());
    let span = span(&line);
    assert_eq!(
        (span.trace_state.as_str(), span.parent_span_id.len(), span.flags),
        ("a=b", 8, 0x300)
    );
}

#[test]
fn what_has_not_ended_is_as_long_as_is_known() {
    let mut line = exchange();
    (line.duration_us, line.ended) = (None, None);
    let span = span(&line);
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 380_000);
    assert_attributes(&line, &[("tlscope.ended", None)]);
}
