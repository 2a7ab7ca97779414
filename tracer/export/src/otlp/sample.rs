//! Lines for tests.

use std::time::{Duration, SystemTime};

use tracer_observe::{
    correlate::LibraryName,
    redact::{
        ConnectionLine, ExchangeLine, ExchangeObject, FieldLine, HopLine, RequestLine, ResponseLine, Time, UpstreamLine,
    },
};

/// The time of all lines.
pub(super) fn time() -> Time {
    Time::new(SystemTime::UNIX_EPOCH + Duration::new(1_795_247_100, 123_456_789))
}

/// A request to a server, and its response.
pub(super) fn exchange() -> ExchangeLine<'static> {
    ExchangeLine {
        id: "7-1-1".to_owned(),
        time: time(),
        pid: 7,
        tid: 8,
        process: "nginx".into(),
        tls: LibraryName::new("openssl"),
        side: "server",
        connection: ConnectionLine {
            id: "7-1".into(),
            local: Some("127.0.0.1:8443".into()),
            remote: Some("[::1]:50312".into()),
            source: Some("bio"),
            reason: None,
            proxied: None,
            netns: None,
        },
        protocol: "http/1.1",
        stream: 1,
        request: Some(request()),
        informational: Vec::new(),
        response: Some(ResponseLine {
            status: Some(200),
            headers: vec![
                field("server", "nginx"),
                field("set-cookie", "a=[redacted]"),
                field("set-cookie", "b=[redacted]"),
            ],
            complete: Some(true),
            unknown: None,
            malformed: None,
            body_bytes: Some(6),
            trailers: Vec::new(),
        }),
        head_us: Some(380),
        first_byte_us: None,
        first_event_us: None,
        duration_us: Some(412),
        ended: Some("complete"),
        request_id: Some("abc".into()),
        session: None,
        trace_id: None,
        parent_id: None,
        grpc_timeout: None,
        grpc_status: None,
        grpc_message: None,
        encoding: None,
        facts: None,
    }
}

fn request() -> RequestLine<'static> {
    RequestLine {
        method: Some("GET".into()),
        scheme: Some("https".into()),
        authority: Some("a.test".into()),
        path: Some("/x?token=[redacted]".into()),
        protocol_upgrade: None,
        headers: vec![
            field("host", "a.test"),
            field("user-agent", "curl/8"),
            (Some("x-late".into()), None),
        ],
        complete: true,
        unknown: None,
        malformed: None,
        body_bytes: Some(0),
        trailers: Vec::new(),
    }
}

/// A field.
pub(super) fn field(name: &'static str, value: &'static str) -> FieldLine<'static> {
    (Some(name.into()), Some(value.into()))
}

/// An exchange with an upstream server.
pub(super) fn upstream(id: &str) -> ExchangeLine<'static> {
    let mut line = exchange();
    line.id = id.to_owned();
    line.side = "client";
    line
}

/// The same, as a hop has it.
pub(super) fn joined(line: ExchangeLine<'static>) -> UpstreamLine<'static> {
    UpstreamLine {
        joined: Some("request-id"),
        reused: Some(true),
        upstream_first_byte_us: None,
        request_diff: None,
        response_diff: None,
        exchange: ExchangeObject(Box::new(line)),
    }
}

/// A hop.
pub(super) fn hop(
    downstream: Option<ExchangeLine<'static>>,
    upstreams: Vec<ExchangeLine<'static>>,
    candidates: &[&'static str],
) -> HopLine<'static> {
    let first = downstream.as_ref().or(upstreams.first());
    HopLine {
        id: first.map(|line| line.id.clone()).unwrap_or_default(),
        time: time(),
        pid: 7,
        process: "nginx".into(),
        gateway_us: Some(143),
        candidates: candidates.iter().map(|id| (*id).into()).collect(),
        downstream: downstream.map(|line| ExchangeObject(Box::new(line))),
        upstreams: upstreams.into_iter().map(joined).collect(),
        encoding: None,
    }
}
