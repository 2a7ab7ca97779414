//! Converts an [`Observed`] to a [`Line`].
//!
//! Every struct is destructured without `..`, so that a new field does not compile until it is decided whether, and how
//! redacted, it is printed.

use std::time::SystemTime;

use http_decode::{
    End, Ended, Exchange, Fields, Gap, Malformed, Request, RequestHead, Response, ResponseHead, ServerEvents, Timestamp,
};

use super::{
    EndLine, EndResponseLine, ExchangeLine, FieldLine, Head, HealthLine, HooksLine, Line, LossLine, Printable,
    Redactor, RequestLine, ResponseLine, Time,
    connection::{ConnectionParts, connection_parts},
    fingerprint::has_mask,
    values::Composer,
    words::Word,
};
use crate::{
    audit::{Audit, AuditEnd},
    correlate::{Connection, HooksRefused, Observed, ObservedKind, Process},
    health::{Figures, Health, Subject},
    join::{Hop, exchange_id},
};

/// Redacts an observation.
pub(super) fn line<'a>(redactor: &mut Redactor, observed: &'a Observed) -> Line<'a> {
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

/// Redacts a hop.
pub(super) fn hop<'a>(redactor: &mut Redactor, hop: &'a Hop) -> Option<Line<'a>> {
    let mut composer = Composer {
        redactor,
        latin1: false,
    };
    let line = composer.hop(hop)?;
    // As above.
    let line = if composer.latin1 { composer.hop(hop)? } else { line };
    Some(Line::Hop(Box::new(line)))
}

/// Redacts the start of a trace.
pub(super) fn audit(redactor: &mut Redactor, audit: &Audit) -> Line<'static> {
    let mut composer = Composer {
        redactor,
        latin1: false,
    };
    let line = composer.audit(audit);
    // As above.
    let line = if composer.latin1 { composer.audit(audit) } else { line };
    Line::Audit(Box::new(line))
}

/// Returns the line of the end of a trace; `None` if the other one is not that of its start.
pub(super) fn audit_end(start: &Line<'static>, end: &AuditEnd) -> Option<Line<'static>> {
    match start {
        Line::Audit(start) => Some(Line::Audit(Box::new(start.ended(end)))),
        Line::Exchange(_)
        | Line::Hop(_)
        | Line::End(_)
        | Line::Loss(_)
        | Line::Connection(_)
        | Line::Health(_)
        | Line::Hooks(_)
        | Line::Alert(_) => None,
    }
}

/// Converts a health report, in which nothing comes from a traced process.
pub(super) fn health(health: &Health) -> Line<'static> {
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
        Subject::RateLimit => ("rate_limit", None),
        Subject::Policy => ("policy", None),
        Subject::Export(export) => ("export", Some(export.name())),
    };
    Line::Health(Box::new(HealthLine {
        time: Time::new(*time),
        subject,
        name,
        state: state.name(),
        used: *used,
        capacity: *capacity,
        dropped: Some(*dropped).filter(|dropped| *dropped > 0),
    }))
}

/// Converts a report that hooks do not serve a process.
pub(super) fn hooks(refused: &HooksRefused) -> Line<'_> {
    let HooksRefused {
        time,
        process: Process { pid, name },
        library,
        path,
        refusal,
    } = refused;
    Line::Hooks(Box::new(HooksLine {
        time: Time::new(*time),
        subject: "hooks",
        name: refusal.kind(),
        state: "refused",
        pid: *pid,
        process: name.as_str().into(),
        tls: *library,
        path: (&**path).into(),
        cause: refusal.cause.name(),
    }))
}

impl Composer<'_> {
    fn line<'a>(&mut self, time: SystemTime, connection: &'a Connection, kind: &'a ObservedKind) -> Line<'a> {
        match kind {
            ObservedKind::Exchange(exchange) => Line::Exchange(Box::new(self.exchange(time, connection, exchange))),
            ObservedKind::End(end) => Line::End(Box::new(self.end(connection, end))),
            ObservedKind::Gap(gap) => Line::Loss(Box::new(loss(time, connection, gap))),
            ObservedKind::Connection(summary) => Line::Connection(Box::new(self.summary(time, connection, summary))),
        }
    }

    pub(super) fn exchange<'a>(
        &mut self,
        time: SystemTime,
        connection: &'a Connection,
        exchange: &'a Exchange,
    ) -> ExchangeLine<'a> {
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
            events,
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
        let (grpc_status, grpc_message) = self.grpc(response.as_ref());
        let [first_byte_at, first_event_at] = event_times(events.as_ref());
        let [request_id, trace_id, parent_id] = self.ids(exchange);
        ExchangeLine {
            id: exchange_id(&connection.id, *ordinal),
            time: Time::after(&mut self.redactor.last_time, time),
            pid,
            tid: *origin,
            process,
            tls,
            side: side.name(),
            connection: line,
            protocol: protocol.name(),
            stream: *stream,
            head_us: since(head_at),
            first_byte_us: since(&first_byte_at),
            first_event_us: since(&first_event_at),
            duration_us: since(ended_at),
            ended: ended.map(Ended::name),
            request_id,
            session: self.session(request.as_ref(), response.as_ref()),
            trace_id,
            parent_id,
            grpc_timeout: self.grpc_timeout(request.as_ref()),
            grpc_status,
            grpc_message,
            request: request.as_ref().map(|request| self.request(request)),
            informational: informational.iter().map(|head| self.informational(head)).collect(),
            response: response.as_ref().map(|response| self.response(response)),
            encoding: self.encoding(),
            facts: self.facts(connection, exchange),
        }
    }

    fn end<'a>(&mut self, connection: &'a Connection, end: &'a End) -> EndLine<'a> {
        let End {
            ordinal,
            began,
            ended_at,
            ended,
            body_bytes,
            trailers,
            events,
        } = end;
        let response = EndResponseLine {
            body_bytes: *body_bytes,
            trailers: self.fields(trailers),
        };
        let (grpc_status, grpc_message) = self.grpc_end(trailers);
        let since = |at: Option<Timestamp>| at.map(|at| micros(*began, at));
        let [first_byte_us, first_event_us] = event_times(events.as_ref()).map(since);
        EndLine {
            id: exchange_id(&connection.id, *ordinal),
            response: (response.body_bytes.is_some() || !response.trailers.is_empty()).then_some(response),
            first_byte_us,
            first_event_us,
            duration_us: micros(*began, *ended_at),
            ended: ended.name(),
            grpc_status,
            grpc_message,
            encoding: self.encoding(),
        }
    }

    fn request<'a>(&mut self, request: &'a Request) -> RequestLine<'a> {
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
            headers: self.head_fields(Head::Request, fields),
            complete: *unknown == 0 && malformed.is_none(),
            unknown: some_unknown(*unknown),
            malformed: malformed.map(Malformed::name),
            body_bytes: *body_bytes,
            trailers: self.fields(trailers),
        }
    }

    fn informational<'a>(&mut self, head: &'a ResponseHead) -> ResponseLine<'a> {
        let line = self.response_head(head, Self::fields);
        ResponseLine {
            complete: line.complete.filter(|complete| !complete),
            ..line
        }
    }

    fn response<'a>(&mut self, response: &'a Response) -> ResponseLine<'a> {
        let Response {
            head,
            body_bytes,
            trailers,
        } = response;
        ResponseLine {
            body_bytes: *body_bytes,
            trailers: self.fields(trailers),
            ..self.response_head(head, |composer, fields| composer.head_fields(Head::Response, fields))
        }
    }

    fn response_head<'a>(
        &mut self,
        head: &'a ResponseHead,
        print: impl FnOnce(&mut Self, &'a Fields) -> Vec<FieldLine<'a>>,
    ) -> ResponseLine<'a> {
        let ResponseHead {
            status,
            fields,
            unknown,
            malformed,
        } = head;
        ResponseLine {
            status: *status,
            headers: print(self, fields),
            complete: Some(*unknown == 0 && malformed.is_none()),
            unknown: some_unknown(*unknown),
            malformed: malformed.map(Malformed::name),
            body_bytes: None,
            trailers: Vec::new(),
        }
    }

    /// Finds the gRPC fields: the status is in the trailers, or in the head of a response that has nothing else.
    fn grpc<'a>(&mut self, response: Option<&'a Response>) -> Grpc<'a> {
        let Some(response) = response else {
            return (None, None);
        };
        let ended = self.grpc_end(&response.trailers);
        if ended.0.is_none() {
            return self.grpc_end(&response.head.fields);
        }
        ended
    }

    fn grpc_end<'a>(&mut self, fields: &'a Fields) -> Grpc<'a> {
        let status = fields.get("grpc-status").and_then(|status| self.field(status).1);
        let message = fields.get("grpc-message").and_then(|message| self.field(message).1);
        (status.and_then(|status| status.parse().ok()), message)
    }

    fn grpc_timeout<'a>(&mut self, request: Option<&'a Request>) -> Option<Printable<'a>> {
        let timeout = request.and_then(|request| request.head.fields.get("grpc-timeout"));
        timeout.and_then(|timeout| self.field(timeout).1)
    }

    /// Finds the session, which the server names in the response to the first request, and the client in the others.
    fn session(&self, request: Option<&Request>, response: Option<&Response>) -> Option<String> {
        let field = request
            .and_then(|request| request.head.fields.get(SESSION_ID))
            .or_else(|| response.and_then(|response| response.head.fields.get(SESSION_ID)))?;
        let id = field.value.filter(|id| !id.is_empty() && !has_mask(id.expose()))?;
        self.redactor.session(id.expose())
    }
}

/// Returns when the first byte of a stream of server-sent events came, and when its first event was whole.
fn event_times(events: Option<&ServerEvents>) -> [Option<Timestamp>; 2] {
    events.map_or([None; 2], |events| [events.first_byte_at(), events.first_event_at()])
}

/// The status and the message of a gRPC call.
type Grpc<'a> = (Option<u32>, Option<Printable<'a>>);

/// The field with the session of the Model Context Protocol, revision 2025-06-18. It is a credential.
const SESSION_ID: &str = "mcp-session-id";

fn loss<'a>(time: SystemTime, connection: &'a Connection, gap: &Gap) -> LossLine<'a> {
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
        time: Time::new(time),
        pid,
        process,
        connection: line,
        direction: direction.name(),
        position: *position,
        bytes: gap.bytes(),
        cause: cause.name(),
    }
}

fn some_unknown(unknown: u32) -> Option<u32> {
    (unknown > 0).then_some(unknown)
}

fn micros(began: Timestamp, end: Timestamp) -> u64 {
    end.0.saturating_sub(began.0) / 1000
}
