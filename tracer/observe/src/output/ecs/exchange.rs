//! Exchanges as documents.

use super::{
    document::{
        Bytes, Document, Event, Head, Http, HttpRequest, HttpResponse, Id, Original, Process, Thread, Tls, Tlscope, Url,
    },
    endpoint::{Ends, host_and_port},
};
use crate::{
    redact::{ExchangeLine, FieldLine, RequestLine, ResponseLine},
    stat::is_error,
};

/// Converts an exchange.
pub(super) fn document<'a>(line: &'a ExchangeLine<'_>) -> Document<'a> {
    let ExchangeLine {
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
        informational: _,
        response,
        head_us,
        first_byte_us,
        first_event_us,
        duration_us,
        ended,
        request_id,
        session,
        trace_id,
        parent_id,
        grpc_timeout: _,
        grpc_status,
        grpc_message,
        encoding,
        // Not printed.
        facts: _,
    } = line;
    let Ends {
        client,
        server,
        network,
    } = Ends::of(connection, Some(side), Some("http"));
    let headers = request
        .as_ref()
        .map(|request| request.headers.as_slice())
        .unwrap_or_default();
    Document {
        timestamp: time.as_str(),
        event: Event {
            kind: "event",
            category: &["web"],
            types: &["access"],
            module: "tlscope",
            dataset: "tlscope.exchange",
            id: Some(id),
            start: Some(time.as_str()),
            duration: duration_us.map(|micros| micros.saturating_mul(1000)),
            outcome: Some(outcome(line)),
            reason: None,
        },
        source: client.clone(),
        destination: server.clone(),
        client,
        server,
        network: Some(network),
        http: Some(Http {
            version: protocol.strip_prefix("http/"),
            request: request
                .as_ref()
                .map(|request| http_request(request, request_id.as_deref())),
            response: response.as_ref().map(http_response),
        }),
        url: request.as_ref().map(url),
        user_agent: value(headers, "user-agent").map(|original| Original { original }),
        tls: Some(Tls {
            established: tls.as_str() != "none",
            ..Tls::default()
        }),
        trace: trace_id.as_deref().map(|id| Id { id }),
        process: Some(Process {
            pid: *pid,
            name: process,
            thread: Some(Thread { id: *tid }),
        }),
        tlscope: Tlscope {
            side: Some(side),
            tls: Some(tls.as_str()),
            connection: Some(&connection.id),
            stream: Some(*stream),
            ended: *ended,
            head_us: *head_us,
            first_byte_us: *first_byte_us,
            first_event_us: *first_event_us,
            parent_id: parent_id.as_deref(),
            session: session.as_deref(),
            grpc_status: *grpc_status,
            grpc_message: grpc_message.as_deref(),
            request: request.as_ref().map(request_head),
            response: response.as_ref().map(response_head),
            encoding: *encoding,
            ..Tlscope::default()
        },
        ..Document::default()
    }
}

/// Returns whether the exchange went well. Without a status, that is not known.
fn outcome(line: &ExchangeLine<'_>) -> &'static str {
    let status = line.response.as_ref().and_then(|response| response.status);
    match status {
        _ if is_error(line) => "failure",
        Some(400..) => "failure",
        Some(_) => "success",
        None => "unknown",
    }
}

fn http_request<'a>(request: &'a RequestLine<'_>, id: Option<&'a str>) -> HttpRequest<'a> {
    HttpRequest {
        id,
        method: request.method.as_deref(),
        referrer: value(&request.headers, "referer"),
        mime_type: value(&request.headers, "content-type"),
        body: request.body_bytes.map(|bytes| Bytes { bytes }),
    }
}

fn http_response<'a>(response: &'a ResponseLine<'_>) -> HttpResponse<'a> {
    HttpResponse {
        status_code: response.status,
        mime_type: value(&response.headers, "content-type"),
        body: response.body_bytes.map(|bytes| Bytes { bytes }),
    }
}

fn url<'a>(request: &'a RequestLine<'_>) -> Url<'a> {
    let (domain, port) = match request.authority.as_deref().map(host_and_port) {
        Some((host, port)) => (Some(host), port),
        None => (None, None),
    };
    let original = request.path.as_deref();
    let (path, query) = match original.map(|path| path.split_once('?').ok_or(path)) {
        Some(Ok((path, query))) => (Some(path), Some(query)),
        Some(Err(path)) => (Some(path), None),
        None => (None, None),
    };
    Url {
        original,
        scheme: request.scheme.as_deref(),
        domain,
        port,
        path,
        query,
    }
}

fn request_head(request: &RequestLine<'_>) -> Head {
    Head {
        headers: texts(&request.headers),
        trailers: texts(&request.trailers),
        complete: Some(request.complete),
        unknown: request.unknown,
        malformed: request.malformed,
    }
}

fn response_head(response: &ResponseLine<'_>) -> Head {
    Head {
        headers: texts(&response.headers),
        trailers: texts(&response.trailers),
        complete: response.complete,
        unknown: response.unknown,
        malformed: response.malformed,
    }
}

fn texts(fields: &[FieldLine<'_>]) -> Vec<String> {
    let known = fields
        .iter()
        .filter_map(|(name, value)| name.as_ref().zip(value.as_ref()));
    known.map(|(name, value)| format!("{name}: {value}")).collect()
}

/// Returns the value of the first field of a name.
fn value<'a>(fields: &'a [FieldLine<'_>], wanted: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(name, _)| name.as_deref() == Some(wanted));
    found.and_then(|(_, value)| value.as_deref())
}
