//! HTTP Archive 1.2.
//!
//! In: redacted lines. Out: one JSON document: its beginning at once, an entry for each exchange as it comes, its end at
//! finish, so that memory holds one entry. Refuses bodies, which are not captured; an end that comes after its entry
//! was written is left out, so are connections, and losses are summed up in the closing comment.

use std::io::Write as _;

use serde::Serialize;

use super::{Error, Lines, Sink, Written, escape::write_json};
use crate::redact::{ExchangeLine, FieldLine, Line, LossLine, Redacted, RequestLine, ResponseLine};

/// Writes one HAR document.
pub struct Har<L: Lines> {
    lines: L,
    /// What is being written, as one.
    out: Vec<u8>,
    entries: u64,
    losses: u64,
    lost_bytes: u64,
    /// Losses of unknown length.
    uncounted: u64,
}

impl<L: Lines> Har<L> {
    /// Hands the document to `lines`, entry by entry.
    pub const fn new(lines: L) -> Self {
        Self {
            lines,
            out: Vec::new(),
            entries: 0,
            losses: 0,
            lost_bytes: 0,
            uncounted: 0,
        }
    }

    /// Writes what comes before an entry: the beginning of the document, or a comma.
    fn separate(&mut self) -> Result<(), Error> {
        if self.entries == 0 {
            return self.begin();
        }
        Ok(self.out.write_all(b",\n")?)
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.out.write_all(b"{\"log\":{\"version\":\"1.2\",\"creator\":")?;
        write_json(
            &mut self.out,
            &Creator {
                name: "tlscope",
                version: env!("CARGO_PKG_VERSION"),
            },
        )?;
        Ok(self.out.write_all(b",\"entries\":[\n")?)
    }
}

impl<L: Lines> Sink for Har<L> {
    fn write(&mut self, line: &Redacted<Line>) -> Result<Written, Error> {
        match &**line {
            Line::Exchange(exchange) => {
                self.out.clear();
                self.separate()?;
                write_json(&mut self.out, &entry(exchange))?;
                let written = self.lines.line(&self.out)?;
                self.entries += u64::from(written == Written::Yes);
                Ok(written)
            }
            Line::End(_) | Line::Connection(_) | Line::Health(_) => Ok(Written::Yes),
            Line::Loss(loss) => {
                let LossLine {
                    time: _,
                    pid: _,
                    process: _,
                    connection: _,
                    direction: _,
                    position: _,
                    bytes,
                    cause: _,
                } = &**loss;
                self.losses += 1;
                self.lost_bytes = self.lost_bytes.saturating_add(bytes.unwrap_or(0));
                self.uncounted += u64::from(bytes.is_none());
                Ok(Written::Yes)
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.lines.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.out.clear();
        if self.entries == 0 {
            self.begin()?;
        }
        self.out.write_all(b"\n]")?;
        if self.losses > 0 {
            write!(
                self.out,
                ",\"comment\":\"{} holes, {} bytes not captured",
                self.losses, self.lost_bytes
            )?;
            if self.uncounted > 0 {
                write!(self.out, ", and an unknown number in {} of them", self.uncounted)?;
            }
            self.out.write_all(b"\"")?;
        }
        self.out.write_all(b"}}\n")?;
        Ok(self.lines.finish(&self.out)?)
    }
}

fn entry(line: &ExchangeLine) -> Entry<'_> {
    let ExchangeLine {
        id,
        time,
        pid,
        tid: _,
        process,
        tls: _,
        side,
        connection,
        protocol,
        stream: _,
        request,
        informational: _,
        response,
        head_us,
        duration_us,
        ended,
        request_id,
        grpc: _,
        encoding: _,
    } = line;
    let wait = head_us.map(millis);
    let total = duration_us.map(millis);
    let receive = total.zip(wait).map(|(total, wait)| (total - wait).max(0.0));
    Entry {
        started_date_time: time,
        time: total.or(wait).unwrap_or(0.0),
        request: request_of(request.as_ref(), protocol),
        response: response_of(response.as_ref(), protocol),
        cache: Cache {},
        timings: Timings {
            send: 0.0,
            wait: wait.unwrap_or(0.0),
            receive: receive.unwrap_or(0.0),
        },
        connection: &connection.id,
        comment: comment(request.as_ref(), response.as_ref()),
        id,
        pid: *pid,
        process,
        side,
        ended: *ended,
        request_id: request_id.as_deref(),
    }
}

fn request_of<'a>(request: Option<&'a RequestLine>, protocol: &'a str) -> Request<'a> {
    let Some(request) = request else {
        return Request {
            http_version: protocol,
            headers_size: -1,
            body_size: -1,
            ..Request::default()
        };
    };
    let part = |part: &'a Option<Box<str>>| part.as_deref().unwrap_or_default();
    Request {
        method: part(&request.method),
        url: format!(
            "{}://{}{}",
            request.scheme.as_deref().unwrap_or("https"),
            part(&request.authority),
            part(&request.path)
        ),
        http_version: protocol,
        cookies: [],
        headers: named(&request.headers),
        query_string: query(part(&request.path)),
        headers_size: -1,
        body_size: size(request.body_bytes),
    }
}

fn response_of<'a>(response: Option<&'a ResponseLine>, protocol: &'a str) -> Response<'a> {
    let headers = response.map(|response| response.headers.as_slice()).unwrap_or_default();
    let body_bytes = response.and_then(|response| response.body_bytes);
    Response {
        status: response.and_then(|response| response.status).unwrap_or(0),
        status_text: "",
        http_version: protocol,
        cookies: [],
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

fn comment(request: Option<&RequestLine>, response: Option<&ResponseLine>) -> Option<String> {
    let unknown = request.and_then(|request| request.unknown).unwrap_or(0);
    let unknown = u64::from(unknown) + u64::from(response.and_then(|response| response.unknown).unwrap_or(0));
    let malformed = request.and_then(|request| request.malformed);
    let malformed = malformed.or(response.and_then(|response| response.malformed));
    match (request, response) {
        (None, _) => Some("request not known".to_owned()),
        (_, None) => Some("response not known".to_owned()),
        _ if malformed.is_some() => malformed.map(|malformed| format!("not well-formed: {malformed}")),
        _ if unknown > 0 => Some(format!("{unknown} fields not wholly known")),
        _ => None,
    }
}

/// Leaves out what has no name or no value: HAR has no way to say so, and the entry's comment does.
fn named(fields: &[FieldLine]) -> Vec<Pair<'_>> {
    let known = fields
        .iter()
        .filter_map(|(name, value)| name.as_deref().zip(value.as_deref()));
    known.map(|(name, value)| Pair { name, value }).collect()
}

/// Splits a query as it is, redacted and not decoded.
fn query(path: &str) -> Vec<Pair<'_>> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| Pair { name, value }).collect()
}

fn value_of<'a>(fields: &'a [FieldLine], wanted: &str) -> &'a str {
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

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

/// An entry; the members that begin with an underscore are ours, as HAR 1.2 allows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    started_date_time: &'a str,
    time: f64,
    request: Request<'a>,
    response: Response<'a>,
    cache: Cache,
    timings: Timings,
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
    cookies: [(); 0],
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
    cookies: [(); 0],
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::sample;

    fn written(lines: &[Redacted<Line>]) -> Value {
        let mut bytes = Vec::new();
        let mut sink = Har::new(&mut bytes);
        for line in lines {
            sink.write(line).unwrap();
        }
        Box::new(sink).finish().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_archive_without_entries_is_valid() {
        let log = written(&[])["log"].clone();
        assert_eq!((&log["version"], &log["entries"]), (&json!("1.2"), &json!([])));
    }

    #[test]
    fn an_entry_has_what_har_requires() {
        let entry = written(&[sample::exchange()])["log"]["entries"][0].clone();
        assert_eq!(entry["request"]["url"], "https://a.test/x?token=[redacted]");
        assert_eq!(
            entry["request"]["queryString"],
            json!([{"name": "token", "value": "[redacted]"}])
        );
        assert_eq!(entry["response"]["status"], 200);
        assert_eq!(entry["response"]["content"], json!({"size": 6, "mimeType": ""}));
        assert_eq!(
            entry["timings"],
            json!({"send": 0.0, "wait": 0.38, "receive": 0.412 - 0.38})
        );
        for member in ["startedDateTime", "time", "cache"] {
            assert!(!entry[member].is_null(), "{member}");
        }
    }

    #[test]
    fn losses_are_summed_up_and_late_ends_left_out() {
        let log = written(&[
            sample::half(),
            sample::loss(),
            sample::exchange(),
            sample::end(),
            sample::loss(),
            sample::summary(),
        ])["log"]
            .clone();
        assert_eq!(log["entries"].as_array().map(Vec::len), Some(2));
        assert_eq!(log["entries"][0]["comment"], "request not known");
        assert_eq!(log["comment"], "2 holes, 200 bytes not captured");
    }
}
