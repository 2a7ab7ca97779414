//! Converts an [`Observed`] to a [`Line`].
//!
//! Every struct is destructured without `..`, so that a new field does not compile until it is decided whether, and how
//! redacted, it is printed.

use std::time::SystemTime;

use http_decode::{
    Direction, End, Ended, Exchange, Fields, Gap, GapCause, Malformed, Protocol, Request, RequestHead, Response,
    ResponseHead, Side, Timestamp,
};

use super::{
    EndLine, EndResponseLine, ExchangeLine, GrpcLine, HealthLine, Line, LossLine, Redactor, RequestLine, ResponseLine,
    connection::{ConnectionParts, connection_parts},
    fingerprint::has_mask,
    secrets::Secrets,
    values::{Composer, rfc3339},
    words::Word,
};
use crate::{
    correlate::{Connection, Observed, ObservedKind},
    health::{Figures, Health, State, Subject},
};

/// Redacts an observation.
pub(super) fn line(redactor: &Redactor, observed: &Observed) -> Line {
    let Observed { time, connection, kind } = observed;
    let mut composer = Composer {
        redactor,
        latin1: false,
    };
    let line = composer.line(*time, connection, kind);
    if composer.latin1 {
        // A value is not UTF-8, so all values of the line are printed byte for byte, also those before it.
        return composer.line(*time, connection, kind);
    }
    line
}

/// Converts a health report, in which nothing comes from a traced process.
pub(super) fn health(health: &Health) -> Line {
    let Health {
        time,
        subject,
        state,
        figures: Figures {
            used,
            capacity,
            dropped,
        },
    } = health;
    let (subject, name) = match subject {
        Subject::Ring => ("ring", None),
        Subject::Table(name) => ("table", Some(*name)),
        Subject::Output => ("output", None),
    };
    Line::Health(Box::new(HealthLine {
        time: rfc3339(*time),
        subject,
        name,
        state: match state {
            State::Fine => "fine",
            State::NearlyFull => "nearly_full",
            State::Dropped => "dropped",
        },
        used: *used,
        capacity: *capacity,
        dropped: Some(*dropped).filter(|dropped| *dropped > 0),
    }))
}

impl Composer<'_> {
    fn line(&mut self, time: SystemTime, connection: &Connection, kind: &ObservedKind) -> Line {
        match kind {
            ObservedKind::Exchange(exchange) => Line::Exchange(Box::new(self.exchange(time, connection, exchange))),
            ObservedKind::End(end) => Line::End(Box::new(self.end(connection, end))),
            ObservedKind::Gap(gap) => Line::Loss(Box::new(loss(time, connection, gap))),
            ObservedKind::Connection(summary) => Line::Connection(Box::new(self.summary(time, connection, summary))),
        }
    }

    fn exchange(&mut self, time: SystemTime, connection: &Connection, exchange: &Exchange) -> ExchangeLine {
        let Exchange {
            ordinal,
            protocol,
            stream,
            side,
            origin,
            request,
            informational,
            response,
            began,
            head_at,
            ended_at,
            ended,
        } = exchange;
        let ConnectionParts {
            pid,
            process,
            tls,
            line,
        } = connection_parts(connection);
        // Without a request, the exchange began with the response, so the time since the request is unknown.
        let since = |end: &Option<Timestamp>| end.filter(|_| request.is_some()).map(|end| micros(*began, end));
        ExchangeLine {
            id: exchange_id(&line.id, *ordinal),
            time: rfc3339(time),
            pid,
            tid: *origin,
            process,
            tls,
            side: side_word(*side),
            connection: line,
            protocol: protocol_word(*protocol),
            stream: *stream,
            head_us: since(head_at),
            duration_us: since(ended_at),
            ended: ended.map(ended_word),
            request_id: self.request_id(request.as_ref(), response.as_ref()),
            grpc: self.grpc(request.as_ref(), response.as_ref()),
            request: request.as_ref().map(|request| self.request(request)),
            informational: informational.iter().map(|head| self.informational(head)).collect(),
            response: response.as_ref().map(|response| self.response(response)),
            encoding: self.encoding(),
        }
    }

    fn end(&mut self, connection: &Connection, end: &End) -> EndLine {
        let End {
            ordinal,
            began,
            ended_at,
            ended,
            body_bytes,
            trailers,
        } = end;
        let response = EndResponseLine {
            body_bytes: *body_bytes,
            trailers: self.fields(trailers),
        };
        EndLine {
            id: exchange_id(&connection.id, *ordinal),
            response: (response.body_bytes.is_some() || !response.trailers.is_empty()).then_some(response),
            duration_us: micros(*began, *ended_at),
            ended: ended_word(*ended),
            grpc: self.grpc_end(trailers),
            encoding: self.encoding(),
        }
    }

    fn request(&mut self, request: &Request) -> RequestLine {
        let Request {
            head,
            body_bytes,
            trailers,
        } = request;
        let RequestHead {
            method,
            scheme,
            target_authority: _,
            path,
            protocol_upgrade,
            never_indexed,
            fields,
            unknown,
            malformed,
        } = head;
        RequestLine {
            method: method.as_deref().map(|method| self.word(Word::Method, method)),
            scheme: scheme.as_deref().map(|scheme| self.word(Word::Scheme, scheme)),
            authority: head
                .authority()
                .map(|authority| self.authority(authority.expose(), never_indexed.authority)),
            path: path.as_ref().map(|path| self.path(path, never_indexed.path)),
            protocol_upgrade: protocol_upgrade
                .as_deref()
                .map(|upgrade| self.word(Word::Upgrade, upgrade)),
            headers: self.fields(fields),
            complete: *unknown == 0 && malformed.is_none(),
            unknown: some_unknown(*unknown),
            malformed: malformed.map(malformed_word),
            body_bytes: *body_bytes,
            trailers: self.fields(trailers),
        }
    }

    fn informational(&mut self, head: &ResponseHead) -> ResponseLine {
        let line = self.response_head(head);
        ResponseLine {
            complete: line.complete.filter(|complete| !complete),
            ..line
        }
    }

    fn response(&mut self, response: &Response) -> ResponseLine {
        let Response {
            head,
            body_bytes,
            trailers,
        } = response;
        ResponseLine {
            body_bytes: *body_bytes,
            trailers: self.fields(trailers),
            ..self.response_head(head)
        }
    }

    fn response_head(&mut self, head: &ResponseHead) -> ResponseLine {
        let ResponseHead {
            status,
            fields,
            unknown,
            malformed,
        } = head;
        ResponseLine {
            status: *status,
            headers: self.fields(fields),
            complete: Some(*unknown == 0 && malformed.is_none()),
            unknown: some_unknown(*unknown),
            malformed: malformed.map(malformed_word),
            body_bytes: None,
            trailers: Vec::new(),
        }
    }

    /// Finds the gRPC fields: the status is in the trailers, or in the head of a response that has nothing else.
    fn grpc(&mut self, request: Option<&Request>, response: Option<&Response>) -> GrpcLine {
        let none = Fields::default();
        let head = response.map_or(&none, |response| &response.head.fields);
        let trailers = response.map_or(&none, |response| &response.trailers);
        let mut ended = self.grpc_end(trailers);
        if ended.grpc_status.is_none() {
            ended = self.grpc_end(head);
        }
        let timeout = request.and_then(|request| request.head.fields.get("grpc-timeout"));
        GrpcLine {
            grpc_timeout: timeout.and_then(|timeout| self.field(timeout).1),
            ..ended
        }
    }

    fn grpc_end(&mut self, fields: &Fields) -> GrpcLine {
        let status = fields.get("grpc-status").and_then(|status| self.field(status).1);
        let message = fields.get("grpc-message").and_then(|message| self.field(message).1);
        GrpcLine {
            grpc_timeout: None,
            grpc_status: status.and_then(|status| status.parse().ok()),
            grpc_message: message,
        }
    }

    /// Finds the request id. That of the response comes first: if the gateway sent one, it also logged that one.
    fn request_id(&mut self, request: Option<&Request>, response: Option<&Response>) -> Option<Box<str>> {
        let field = response
            .and_then(|response| response.head.fields.get(REQUEST_ID))
            .or_else(|| request.and_then(|request| request.head.fields.get(REQUEST_ID)))?;
        let secrets = self.field_secrets(field);
        let value = field.value.filter(|value| !value.is_empty() && secrets.is_empty())?;
        // It may have been masked by another tracer before it was sent.
        (!has_mask(value.expose())).then(|| self.text(value.expose(), Secrets::default()))
    }
}

/// The field in which gateways pass on the id of a request.
const REQUEST_ID: &str = "x-request-id";

fn loss(time: SystemTime, connection: &Connection, gap: &Gap) -> LossLine {
    let Gap {
        direction,
        position,
        span: _,
        cause,
        at: _,
    } = gap;
    let ConnectionParts {
        pid,
        process,
        tls: _,
        line,
    } = connection_parts(connection);
    LossLine {
        time: rfc3339(time),
        pid,
        process,
        connection: line,
        direction: match direction {
            Direction::Read => "read",
            Direction::Write => "write",
        },
        position: *position,
        bytes: gap.bytes(),
        cause: match cause {
            GapCause::Lost => "lost",
            GapCause::OverLimit => "over_limit",
            GapCause::Dropped => "dropped",
            GapCause::Sendfile => "sendfile",
            GapCause::NotCaptured => "not_captured",
            GapCause::Unreadable => "unreadable",
        },
    }
}

fn exchange_id(connection: &str, ordinal: u64) -> String {
    format!("{connection}-{ordinal}")
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http10 => "http/1.0",
        Protocol::Http11 => "http/1.1",
        Protocol::Http2 => "http/2",
    }
}

fn ended_word(ended: Ended) -> &'static str {
    match ended {
        Ended::Complete => "complete",
        Ended::Reset => "reset",
        Ended::Closed => "closed",
        Ended::Upgraded => "upgraded",
        Ended::Lost => "lost",
    }
}

fn malformed_word(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::Method => "method",
        Malformed::Spaces => "spaces",
        Malformed::StartLine => "start-line",
        Malformed::PseudoHeader => "pseudo-header",
        Malformed::Field => "field",
        Malformed::HeaderBlock => "header-block",
        Malformed::TooLarge => "too-large",
        Malformed::Unfinished => "unfinished",
    }
}

fn some_unknown(unknown: u32) -> Option<u32> {
    (unknown > 0).then_some(unknown)
}

fn micros(began: Timestamp, end: Timestamp) -> u64 {
    end.0.saturating_sub(began.0) / 1000
}
