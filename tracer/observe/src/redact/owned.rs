//! Lines that outlive what they were made of, for output that waits for the end of an exchange.

use super::{ConnectionLine, ExchangeLine, FieldLine, Printable, RequestLine, ResponseLine};

/// Copies what is borrowed in fields.
pub(crate) fn owned_fields(fields: &[FieldLine<'_>]) -> Vec<FieldLine<'static>> {
    let owned = |(name, value): &FieldLine<'_>| (owned(name.as_ref()), owned(value.as_ref()));
    fields.iter().map(owned).collect()
}

fn owned(text: Option<&Printable<'_>>) -> Option<Printable<'static>> {
    text.map(Printable::to_static)
}

impl ExchangeLine<'_> {
    /// Copies what is borrowed.
    pub(crate) fn to_static(&self) -> ExchangeLine<'static> {
        let Self {
            id,
            time,
            pid,
            tid,
            process,
            tls,
            side,
            connection,
            protocol,
            stream,
            request,
            informational,
            response,
            head_us,
            duration_us,
            ended,
            request_id,
            grpc_timeout,
            grpc_status,
            grpc_message,
            encoding,
        } = self;
        ExchangeLine {
            id: id.clone(),
            time: *time,
            pid: *pid,
            tid: *tid,
            process: process.to_static(),
            tls: *tls,
            side,
            connection: connection.to_static(),
            protocol,
            stream: *stream,
            request: request.as_ref().map(RequestLine::to_static),
            informational: informational.iter().map(ResponseLine::to_static).collect(),
            response: response.as_ref().map(ResponseLine::to_static),
            head_us: *head_us,
            duration_us: *duration_us,
            ended: *ended,
            request_id: owned(request_id.as_ref()),
            grpc_timeout: owned(grpc_timeout.as_ref()),
            grpc_status: *grpc_status,
            grpc_message: owned(grpc_message.as_ref()),
            encoding: *encoding,
        }
    }
}

impl ConnectionLine<'_> {
    fn to_static(&self) -> ConnectionLine<'static> {
        let Self {
            id,
            local,
            remote,
            source,
            reason,
            proxied,
            netns,
        } = self;
        ConnectionLine {
            id: id.to_static(),
            local: owned(local.as_ref()),
            remote: owned(remote.as_ref()),
            source: *source,
            reason: *reason,
            proxied: proxied.clone(),
            netns: *netns,
        }
    }
}

impl RequestLine<'_> {
    fn to_static(&self) -> RequestLine<'static> {
        let Self {
            method,
            scheme,
            authority,
            path,
            protocol_upgrade,
            headers,
            complete,
            unknown,
            malformed,
            body_bytes,
            trailers,
        } = self;
        RequestLine {
            method: owned(method.as_ref()),
            scheme: owned(scheme.as_ref()),
            authority: owned(authority.as_ref()),
            path: owned(path.as_ref()),
            protocol_upgrade: owned(protocol_upgrade.as_ref()),
            headers: owned_fields(headers),
            complete: *complete,
            unknown: *unknown,
            malformed: *malformed,
            body_bytes: *body_bytes,
            trailers: owned_fields(trailers),
        }
    }
}

impl ResponseLine<'_> {
    fn to_static(&self) -> ResponseLine<'static> {
        let Self {
            status,
            headers,
            complete,
            unknown,
            malformed,
            body_bytes,
            trailers,
        } = self;
        ResponseLine {
            status: *status,
            headers: owned_fields(headers),
            complete: *complete,
            unknown: *unknown,
            malformed: *malformed,
            body_bytes: *body_bytes,
            trailers: owned_fields(trailers),
        }
    }
}
