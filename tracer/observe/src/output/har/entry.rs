//! Converts an exchange to an entry of a HAR document.
//!
//! A member that HAR requires and that is unknown is 0, -1 or empty, and the comment of the entry says what is unknown.

use std::net::IpAddr;

use serde::Serialize;

use super::cookies::{self, Cookie};
use crate::redact::{ConnectionLine, ExchangeLine, FieldLine, Printable, RequestLine, ResponseLine};

/// Converts an exchange to an entry; `comment` is added to its comment.
pub(super) fn entry<'a>(line: &'a ExchangeLine<'a>, comment: Option<&'static str>) -> Entry<'a> {
    let ExchangeLine {
        id,
        time,
        pid,
        process,
        side,
        connection,
        protocol,
        request,
        response,
        head_us,
        duration_us,
        ended,
        request_id,
        ..
    } = line;
    // HAR requires that the time of an entry is the sum of its parts. Without the time of the head, all of it is waiting.
    let total_us = duration_us.or(*head_us).unwrap_or(0);
    let wait_us = head_us.unwrap_or(total_us).min(total_us);
    Entry {
        started_date_time: time.as_str(),
        time: millis(total_us),
        request: request_of(request.as_ref(), protocol),
        response: response_of(response.as_ref(), protocol),
        cache: Cache {},
        timings: Timings {
            send: 0.0,
            wait: millis(wait_us),
            receive: millis(total_us - wait_us),
        },
        server_ip_address: server_ip(connection, side),
        connection: &connection.id,
        comment: comment_of(request.as_ref(), response.as_ref(), comment),
        id,
        pid: *pid,
        process,
        side,
        ended: *ended,
        request_id: request_id.as_deref(),
    }
}

fn request_of<'a>(request: Option<&'a RequestLine<'a>>, protocol: &'a str) -> Request<'a> {
    let Some(request) = request else {
        return Request {
            http_version: protocol,
            headers_size: -1,
            body_size: -1,
            ..Request::default()
        };
    };
    let part = |part: &'a Option<Printable<'a>>| part.as_deref().unwrap_or_default();
    Request {
        method: part(&request.method),
        url: format!(
            "{}://{}{}",
            request.scheme.as_deref().unwrap_or("https"),
            part(&request.authority),
            part(&request.path)
        ),
        http_version: protocol,
        cookies: cookies::sent(&request.headers),
        headers: named(&request.headers),
        query_string: query(part(&request.path)),
        headers_size: -1,
        body_size: size(request.body_bytes),
    }
}

fn response_of<'a>(response: Option<&'a ResponseLine<'a>>, protocol: &'a str) -> Response<'a> {
    let headers = response.map(|response| response.headers.as_slice()).unwrap_or_default();
    let body_bytes = response.and_then(|response| response.body_bytes);
    Response {
        status: response.and_then(|response| response.status).unwrap_or(0),
        status_text: "",
        http_version: protocol,
        cookies: cookies::set(headers),
        headers: named(headers),
        content: Content {
            size: body_bytes.unwrap_or(0),
            mime_type: value_of(headers, "content-type"),
        },
        redirect_url: value_of(headers, "location"),
        headers_size: -1,
        body_size: size(body_bytes),
    }
}

fn comment_of(
    request: Option<&RequestLine<'_>>,
    response: Option<&ResponseLine<'_>>,
    extra: Option<&'static str>,
) -> Option<String> {
    let unknown = request.and_then(|request| request.unknown).unwrap_or(0);
    let unknown = u64::from(unknown) + u64::from(response.and_then(|response| response.unknown).unwrap_or(0));
    let malformed = request.and_then(|request| request.malformed);
    let malformed = malformed.or(response.and_then(|response| response.malformed));
    let unseen = match (request, response) {
        (None, _) => Some("request not known".to_owned()),
        (_, None) => Some("response not known".to_owned()),
        _ if malformed.is_some() => malformed.map(|malformed| format!("not well-formed: {malformed}")),
        _ if unknown > 0 => Some(format!("{unknown} fields not wholly known")),
        _ => None,
    };
    match (unseen, extra) {
        (Some(unseen), Some(extra)) => Some(format!("{unseen}; {extra}")),
        (unseen, extra) => unseen.or_else(|| extra.map(str::to_owned)),
    }
}

/// Returns the IP address of the server, unless it listens on a UNIX socket.
fn server_ip<'a>(connection: &'a ConnectionLine<'_>, side: &str) -> Option<&'a str> {
    let address = if side == "server" {
        connection.local.as_deref()?
    } else {
        connection.remote.as_deref()?
    };
    let (ip, _port) = address.rsplit_once(':')?;
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    ip.parse::<IpAddr>().is_ok().then_some(ip)
}

/// Converts fields. Those without a name or a value are left out, because HAR cannot represent them; the comment of the
/// entry has their number.
fn named<'a>(fields: &'a [FieldLine<'_>]) -> Vec<Pair<'a>> {
    let known = fields
        .iter()
        .filter_map(|(name, value)| name.as_deref().zip(value.as_deref()));
    known.map(|(name, value)| Pair { name, value }).collect()
}

/// Splits the query of a path, without decoding it.
fn query(path: &str) -> Vec<Pair<'_>> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| Pair { name, value }).collect()
}

fn value_of<'a>(fields: &'a [FieldLine<'a>], wanted: &str) -> &'a str {
    let found = fields.iter().find(|(name, _)| name.as_deref() == Some(wanted));
    found.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
}

fn size(bytes: Option<u64>) -> i64 {
    bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years of microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// An entry. The members that begin with an underscore are extensions, which HAR 1.2 allows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    started_date_time: &'a str,
    time: f64,
    request: Request<'a>,
    response: Response<'a>,
    cache: Cache,
    timings: Timings,
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    server_ip_address: Option<&'a str>,
    connection: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(rename = "_pid")]
    pid: u32,
    #[serde(rename = "_process")]
    process: &'a str,
    #[serde(rename = "_side")]
    side: &'a str,
    #[serde(rename = "_ended", skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
    #[serde(rename = "_request_id", skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    method: &'a str,
    url: String,
    http_version: &'a str,
    cookies: Vec<Cookie<'a>>,
    headers: Vec<Pair<'a>>,
    query_string: Vec<Pair<'a>>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    status: u16,
    status_text: &'static str,
    http_version: &'a str,
    cookies: Vec<Cookie<'a>>,
    headers: Vec<Pair<'a>>,
    content: Content<'a>,
    #[serde(rename = "redirectURL")]
    redirect_url: &'a str,
    headers_size: i64,
    body_size: i64,
}

#[derive(Serialize)]
struct Pair<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    size: u64,
    mime_type: &'a str,
}

#[derive(Serialize)]
struct Cache {}

#[derive(Serialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}
