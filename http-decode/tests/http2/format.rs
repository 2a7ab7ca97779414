//! Exchanges as lines.

use std::fmt::Write as _;

use http_decode::{Ended, Exchange, Fields, Malformed, Protocol, Request, Response, ResponseHead};

/// Formats stream, request, responses and end: `1 GET /x > 200 5 complete`; what is not known is `?`.
pub(crate) fn format_exchange(exchange: &Exchange) -> String {
    assert_eq!(exchange.protocol, Protocol::Http2);
    let mut line = exchange.stream.to_string();
    if let Some(Request {
        head,
        body_bytes,
        trailers,
    }) = &exchange.request
    {
        let path = head.path.as_ref().map(|path| String::from_utf8_lossy(path.expose()));
        let method = head.method.as_deref();
        write!(line, " {} {}", method.unwrap_or("?"), path.as_deref().unwrap_or("?")).unwrap();
        if *body_bytes != Some(0) {
            write!(line, " {}", format_bytes(*body_bytes)).unwrap();
        }
        line += &format_fields(trailers);
        line += &format_unknown(head.unknown, head.malformed);
    }
    for ResponseHead { status, .. } in &exchange.informational {
        write!(line, " > {}", format_status(*status)).unwrap();
    }
    if let Some(Response {
        head,
        body_bytes,
        trailers,
    }) = &exchange.response
    {
        write!(line, " > {} {}", format_status(head.status), format_bytes(*body_bytes)).unwrap();
        line += &format_fields(trailers);
        line += &format_unknown(head.unknown, head.malformed);
    }
    line + " " + format_end(exchange.ended)
}

fn format_status(status: Option<u16>) -> String {
    status.map_or_else(|| "?".to_owned(), |status| status.to_string())
}

pub(crate) fn format_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string())
}

fn format_unknown(unknown: u32, malformed: Option<Malformed>) -> String {
    match (unknown, malformed) {
        (0, None) => String::new(),
        (_, None) => format!(" ({unknown} unknown)"),
        (0, Some(malformed)) => format!(" ({malformed:?})"),
        (_, Some(malformed)) => format!(" ({unknown} unknown, {malformed:?})"),
    }
}

/// Formats fields as ` [name=value name=value]`; none are nothing.
pub(crate) fn format_fields(fields: &Fields) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|field| {
            let value = field.value.map(|value| String::from_utf8_lossy(value.expose()));
            format!("{}={}", field.name.unwrap_or("?"), value.as_deref().unwrap_or("?"))
        })
        .collect();
    if fields.is_empty() {
        String::new()
    } else {
        format!(" [{}]", fields.join(" "))
    }
}

pub(crate) fn format_end(ended: Option<Ended>) -> &'static str {
    match ended {
        None => "goes on",
        Some(Ended::Complete) => "complete",
        Some(Ended::Reset) => "reset",
        Some(Ended::Closed) => "closed",
        Some(Ended::Upgraded) => "upgraded",
        Some(Ended::Lost) => "lost",
    }
}
