//! Lines for the tests of sinks and filters. Like all lines, they come from a redactor.

#[cfg(test)]
mod audit;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_decode::{
    Direction, End, Ended, Exchange, Field, Fields, Gap, GapCause, Protocol, Request, RequestHead, Response,
    ResponseHead, Side, Timestamp, Unredacted,
};

use crate::{
    correlate::{Connection, ConnectionSummary, HooksRefused, LibraryName, Observed, ObservedKind, Process, Transport},
    event::{Address, AddressSource, Refusal, RefusalCause, SocketEnd, TlsFacts},
    health::{Figures, Health, State, Subject},
    join::{Hop, How, Upstream},
    redact::{AlertLine, EvidenceLine, ExchangeLine, Line, Printable, Redacted, Redactor, Rules},
};

#[cfg(test)]
pub(crate) use self::audit::{audit, audit_end, audit_refused};

/// The line of [`whole`].
pub(crate) fn exchange() -> Redacted<Line<'static>> {
    exchange_with(|_| {})
}

/// The line of [`whole`] with a change.
pub(crate) fn exchange_with(change: impl FnOnce(&mut Exchange)) -> Redacted<Line<'static>> {
    let mut exchange = whole();
    change(&mut exchange);
    redacted(ObservedKind::Exchange(Box::new(exchange)), AddressSource::Bio)
}

/// The line of [`whole`] on a connection with a change.
pub(crate) fn exchange_on(change: impl FnOnce(&mut Connection)) -> Redacted<Line<'static>> {
    let mut observed = observed(ObservedKind::Exchange(Box::new(whole())), AddressSource::Bio);
    change(Arc::make_mut(&mut observed.connection));
    redacted_line(observed)
}

/// The response of an HTTP/2 connection joined late, without its request.
pub(crate) fn half() -> Redacted<Line<'static>> {
    let unknown = |name: Option<&str>, value: Option<&str>| OwnedField {
        name: name.map(Into::into),
        value: value.map(|value| Unredacted::new(value.as_bytes())),
        never_indexed: false,
    };
    let mut fields = vec![
        unknown(Some("x-tenant"), None),
        unknown(None, Some("gzip")),
        unknown(None, None),
    ];
    fields.push(OwnedField {
        value: Some(Unredacted::new(b"\xe9\x01")),
        ..field("x-name", "")
    });
    let head = ResponseHead {
        fields: fields.into_iter().collect(),
        unknown: 4,
        ..ResponseHead::default()
    };
    exchange_with(|exchange| {
        exchange.ordinal = 2;
        exchange.protocol = Protocol::Http2;
        exchange.stream = 3;
        exchange.request = None;
        exchange.informational.clear();
        exchange.response = Some(Response {
            head,
            body_bytes: None,
            trailers: Fields::default(),
        });
        exchange.ended = None;
        exchange.ended_at = None;
    })
}

/// The exchange of [`whole`] with an upstream exchange, which a gateway made of it.
pub(crate) fn hop() -> Redacted<Line<'static>> {
    hop_with(|_| {})
}

/// [`hop`] with a change.
pub(crate) fn hop_with(change: impl FnOnce(&mut Hop)) -> Redacted<Line<'static>> {
    let source = AddressSource::Bio;
    let downstream = observed(ObservedKind::Exchange(Box::new(whole())), source);
    let mut asking = whole();
    asking.side = Side::Client;
    (asking.ordinal, asking.stream) = (9, 9);
    (asking.began, asking.ended_at) = (Timestamp(101_000), Some(Timestamp(311_000)));
    asking.head_at = Some(Timestamp(301_000));
    if let Some(request) = &mut asking.request {
        request.head.path = Some(Unredacted::new(b"/y?token=hunter3"));
        request.head.fields = fields([field("authorization", "Bearer hunter3"), field("x-request-id", "abc")]);
    }
    if let Some(response) = &mut asking.response {
        response.head.status = Some(201);
        response.head.fields = fields([field("server", "app"), field("x-powered-by", "app")]);
    }
    let upstream = Upstream {
        observed: Box::new(observed(ObservedKind::Exchange(Box::new(asking)), source)),
        how: Some(How::RequestId),
        reused: Some(true),
    };
    let mut hop = Hop {
        downstream: Some(Box::new(downstream)),
        upstreams: vec![upstream],
        candidates: Vec::new(),
    };
    change(&mut hop);
    // Lines borrow from what they are made of; tests are short enough to keep all of it.
    let line = Redactor::new(Rules::default()).redact_hop(Box::leak(Box::new(hop)));
    // It has exchanges, so it has a line.
    line.unwrap_or_else(exchange)
}

/// An upstream exchange that may belong to two downstream ones.
pub(crate) fn ambiguous() -> Redacted<Line<'static>> {
    hop_with(|hop| {
        hop.downstream = None;
        hop.candidates = vec!["7-1".to_owned(), "8-1".to_owned()];
        for upstream in &mut hop.upstreams {
            (upstream.how, upstream.reused) = (None, None);
        }
    })
}

/// The end of [`exchange`].
pub(crate) fn end() -> Redacted<Line<'static>> {
    let end = End {
        ordinal: 1,
        began: Timestamp(1_000),
        ended_at: Timestamp(2_000_001_000),
        ended: Ended::Closed,
        body_bytes: Some(9),
        trailers: fields([field("x-token", "hunter2")]),
        events: None,
    };
    redacted(ObservedKind::End(Box::new(end)), AddressSource::Bio)
}

/// A gap.
pub(crate) fn loss() -> Redacted<Line<'static>> {
    let gap = Gap {
        direction: Direction::Read,
        position: 4096,
        span: 100,
        cause: GapCause::OverLimit,
        at: None,
    };
    redacted(ObservedKind::Gap(gap), AddressSource::CustomBio)
}

/// The summary of a closed connection.
pub(crate) fn summary() -> Redacted<Line<'static>> {
    summary_with(|_| {})
}

/// [`summary`] with a change.
pub(crate) fn summary_with(change: impl FnOnce(&mut ConnectionSummary)) -> Redacted<Line<'static>> {
    let summary = summary_of(change);
    redacted(ObservedKind::Connection(Box::new(summary)), AddressSource::Ciphertext)
}

/// [`summary`] with a change, unredacted.
pub(crate) fn summary_of(change: impl FnOnce(&mut ConnectionSummary)) -> ConnectionSummary {
    let mut summary = ConnectionSummary {
        tls: Some(TlsFacts {
            version: Some(0x0304),
            cipher: Some(Unredacted::new(b"TLS_AES_256_GCM_SHA384")),
            alpn: Some(Unredacted::new(b"h2")),
            server_name: Some(Unredacted::new(b"a.test")),
            handshake_ns: Some(1_200_999),
        }),
        transport: Some(Transport {
            opened: Some(SystemTime::UNIX_EPOCH + Duration::new(1_795_247_099, 5)),
            received: 2000,
            acknowledged: 3000,
            rtt_us: Some(40),
            retransmits: 0,
            ended: Some(SocketEnd::FinRemote),
        }),
        transferred: [Some(100), Some(200)],
        exchanges: 3,
        open: false,
    };
    change(&mut summary);
    summary
}

/// A [`Field`] that owns its name and value.
#[derive(Clone, Debug)]
pub(crate) struct OwnedField {
    pub(crate) name: Option<Box<str>>,
    pub(crate) value: Option<Unredacted>,
    pub(crate) never_indexed: bool,
}

impl FromIterator<OwnedField> for Fields {
    fn from_iter<I: IntoIterator<Item = OwnedField>>(fields: I) -> Self {
        let mut all = Self::default();
        for field in fields {
            all.push(Field {
                name: field.name.as_deref(),
                value: field.value.as_ref().map(|value| Unredacted::borrowed(value.expose())),
                never_indexed: field.never_indexed,
            });
        }
        all
    }
}

pub(crate) fn fields<const N: usize>(fields: [OwnedField; N]) -> Fields {
    fields.into_iter().collect()
}

pub(crate) fn field(name: &str, value: &str) -> OwnedField {
    OwnedField {
        name: Some(name.into()),
        value: Some(Unredacted::new(value.as_bytes())),
        never_indexed: false,
    }
}

/// Adds the time and the connection of all samples.
pub(crate) fn observed(kind: ObservedKind, source: AddressSource) -> Observed {
    let ip = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    let address = |port: u16| {
        source
            .is_known()
            .then(|| Address::from(SocketAddr::new(ip.into(), port)))
    };
    Observed {
        time: time(),
        connection: Arc::new(Connection {
            id: "7".to_owned(),
            process: Process {
                pid: 1,
                name: "nginx".to_owned(),
            },
            tls: LibraryName::new("openssl"),
            local: address(8443),
            remote: address(50312),
            source,
            proxied: None,
            netns: None,
            server_name: None,
        }),
        kind,
    }
}

fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_795_247_100, 123_456_789)
}

/// An exchange of which everything is known, with secrets.
pub(crate) fn whole() -> Exchange {
    let request = RequestHead {
        method: Some("GET".into()),
        scheme: Some("https".into()),
        target_authority: Some(Unredacted::new(b"a.test")),
        path: Some(Unredacted::new(b"/x?token=hunter2")),
        fields: fields([field("host", "a.test"), field("authorization", "Bearer hunter2")]),
        ..RequestHead::default()
    };
    let early = ResponseHead {
        status: Some(103),
        fields: fields([field("link", "</a.css>")]),
        ..ResponseHead::default()
    };
    let response = fields([field("server", "nginx"), field("x-request-id", "abc")]);
    let response = ResponseHead {
        status: Some(200),
        fields: response,
        ..ResponseHead::default()
    };
    Exchange {
        ordinal: 1,
        protocol: Protocol::Http11,
        stream: 1,
        side: Side::Server,
        origin: 2,
        request: Some(Request {
            head: request,
            body_bytes: Some(0),
            trailers: Fields::default(),
        }),
        informational: vec![early],
        response: Some(Response {
            head: response,
            body_bytes: Some(6),
            trailers: fields([field("grpc-status", "0")]),
        }),
        began: Timestamp(1_000),
        head_at: Some(Timestamp(381_999)),
        events: None,
        ended_at: Some(Timestamp(413_000)),
        ended: Some(Ended::Complete),
    }
}

fn redacted(kind: ObservedKind, source: AddressSource) -> Redacted<Line<'static>> {
    redacted_line(observed(kind, source))
}

fn redacted_line(observed: Observed) -> Redacted<Line<'static>> {
    // Lines borrow from what they are made of; tests are short enough to keep all of it.
    Redactor::new(Rules::default()).redact(Box::leak(Box::new(observed)))
}

/// An alert about [`exchange`], with all evidence.
pub(crate) fn alert() -> Redacted<Line<'static>> {
    exchange()
        .alerts(|line| match line {
            Line::Exchange(exchange) => {
                let evidence = EvidenceLine {
                    head: Some("request"),
                    field: Some("authorization".into()),
                    value: Some("Bearer [redacted]".into()),
                    server_name: Some("b.test".into()),
                    malformed: None,
                    key: Some("127.0.0.1".into()),
                    count: Some(3),
                    limit: Some(2),
                };
                vec![alert_line(exchange, evidence)]
            }
            Line::End(_)
            | Line::Hop(_)
            | Line::Loss(_)
            | Line::Connection(_)
            | Line::Health(_)
            | Line::Hooks(_)
            | Line::Alert(_)
            | Line::Audit(_) => Vec::new(),
        })
        .remove(0)
}

fn alert_line(exchange: &ExchangeLine<'_>, evidence: EvidenceLine<'static>) -> AlertLine<'static> {
    let request = exchange.request.as_ref().map(|request| &request.path);
    AlertLine {
        time: exchange.time,
        rule: "no-credentials".into(),
        severity: "warning",
        message: Some("no credentials\u{1b} here".into()),
        id: exchange.id.clone().into(),
        pid: exchange.pid,
        process: exchange.process.to_static(),
        side: exchange.side,
        connection: exchange.connection.to_static(),
        method: None,
        authority: None,
        path: request.and_then(|path| path.as_ref().map(Printable::to_static)),
        status: Some(200),
        request_id: None,
        evidence,
        encoding: None,
    }
}

/// A lift that is wrong for its file.
pub(crate) fn hooks() -> Redacted<Line<'static>> {
    hooks_of("nginx", "/usr/lib/libssl.so.3")
}

/// [`hooks`] of a process and a file.
pub(crate) fn hooks_of(name: &str, path: &str) -> Redacted<Line<'static>> {
    let refused = HooksRefused {
        time: time(),
        process: Process {
            pid: 1,
            name: name.to_owned(),
        },
        library: LibraryName::new("openssl"),
        path: path.into(),
        refusal: Refusal {
            direction: Direction::Write,
            cause: RefusalCause::Mismatch,
        },
    };
    // Lines borrow from what they are made of; tests are short enough to keep all of it.
    Redactor::new(Rules::default()).hooks(Box::leak(Box::new(refused)))
}

/// A table that is nearly full.
pub(crate) fn health() -> Redacted<Line<'static>> {
    let figures = Figures {
        used: Some(91),
        capacity: Some(100),
        dropped: 0,
    };
    health_of(Subject::Table("calls"), State::NearlyFull, figures)
}

/// An output that drops lines.
pub(crate) fn health_of_output() -> Redacted<Line<'static>> {
    let figures = Figures {
        dropped: 7,
        ..Figures::default()
    };
    health_of(Subject::Output, State::Dropped, figures)
}

fn health_of(subject: Subject, state: State, figures: Figures) -> Redacted<Line<'static>> {
    let redactor = Redactor::new(Rules::default());
    redactor.health(&Health {
        time: time(),
        subject,
        state,
        figures,
    })
}
