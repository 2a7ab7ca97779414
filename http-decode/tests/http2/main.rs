//! What a connection that speaks HTTP/2 does, told in frames and outputs.
#![cfg(test)]

mod detection;
mod late;
mod limits;
mod loss;
mod streams;
mod wire;

use std::fmt::Write as _;

use http_decode::{
    Chunk, Connection, Direction, Ended, Exchange, Fields, Limits, Malformed, Output, Protocol, Reason, Request,
    Response, ResponseHead, Settings, Timestamp,
};

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;

/// A connection of a server, fed with whole calls whose positions and times count up by themselves.
struct Tape {
    connection: Connection,
    limits: Limits,
    positions: [u64; 2],
    now: u64,
    outputs: Vec<Output>,
}

impl Tape {
    fn new() -> Self {
        Self::with(Limits::DEFAULT)
    }

    fn with(limits: Limits) -> Self {
        Self {
            connection: Connection::new(Settings { limits, hold_ns: 1000 }),
            limits,
            positions: [0; 2],
            now: 0,
            outputs: Vec::new(),
        }
    }

    /// A connection on which both sides have said hello.
    fn begun() -> Self {
        let mut tape = Self::new();
        tape.push(READ, wire::hello()).push(WRITE, wire::settings());
        tape
    }

    fn push(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.push_part(direction, bytes, true)
    }

    fn push_part(&mut self, direction: Direction, bytes: impl AsRef<[u8]>, call_start: bool) -> &mut Self {
        let bytes = bytes.as_ref();
        self.now += 10;
        let position = self.lose(direction, bytes.len());
        let chunk = Chunk {
            position,
            at: Timestamp(self.now),
            origin: 7,
            call_start,
            bytes,
        };
        self.connection.push(direction, chunk);
        self.drain()
    }

    /// Passes over bytes that were never captured.
    fn lose(&mut self, direction: Direction, count: usize) -> u64 {
        let position = &mut self.positions[usize::from(direction == WRITE)];
        *position += count as u64;
        *position - count as u64
    }

    fn settle(&mut self) -> &mut Self {
        self.connection.settle(Timestamp(self.now));
        self.drain()
    }

    fn pass_time(&mut self, by: u64) -> &mut Self {
        self.now += by;
        self.connection.tick(Timestamp(self.now));
        self.drain()
    }

    fn close(&mut self) -> &mut Self {
        self.connection.close(Timestamp(self.now), Ended::Closed, None);
        self.drain();
        assert_eq!(self.connection.held_bytes(), 0, "nothing is held in the end");
        self
    }

    fn drain(&mut self) -> &mut Self {
        let held = self.connection.held_bytes();
        assert!(held <= self.limits.max_connection_bytes(), "{held} bytes held");
        self.outputs.extend(std::iter::from_fn(|| self.connection.poll()));
        self
    }

    fn exchanges(&self) -> Vec<&Exchange> {
        let exchanges = self.outputs.iter().filter_map(|output| match output {
            Output::Exchange(exchange) => Some(exchange.as_ref()),
            Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        });
        exchanges.collect()
    }

    fn reasons(&self) -> Vec<Reason> {
        let reasons = self.outputs.iter().filter_map(|output| match output {
            Output::Undecoded(_, _, reason) => Some(*reason),
            Output::Exchange(_) | Output::End(_) | Output::Gap(_) => None,
        });
        reasons.collect()
    }

    /// Tells each exchange in a line, and each end.
    fn told(&self) -> Vec<String> {
        let lines = self.outputs.iter().filter_map(|output| match output {
            Output::Exchange(exchange) => Some(tell(exchange)),
            Output::End(end) => Some(format!(
                "end {}{} {}",
                tell_bytes(end.body_bytes),
                tell_fields(&end.trailers),
                tell_end(Some(end.ended))
            )),
            Output::Gap(_) | Output::Undecoded(..) => None,
        });
        lines.collect()
    }
}

/// Tells stream, request, responses and end: `1 GET /x > 200 5 complete`; what is not known is `?`.
fn tell(exchange: &Exchange) -> String {
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
            write!(line, " {}", tell_bytes(*body_bytes)).unwrap();
        }
        line += &tell_fields(trailers);
        line += &tell_unknown(head.unknown, head.malformed);
    }
    for ResponseHead { status, .. } in &exchange.informational {
        write!(line, " > {}", tell_status(*status)).unwrap();
    }
    if let Some(Response {
        head,
        body_bytes,
        trailers,
    }) = &exchange.response
    {
        write!(line, " > {} {}", tell_status(head.status), tell_bytes(*body_bytes)).unwrap();
        line += &tell_fields(trailers);
        line += &tell_unknown(head.unknown, head.malformed);
    }
    line + " " + tell_end(exchange.ended)
}

fn tell_status(status: Option<u16>) -> String {
    status.map_or_else(|| "?".to_owned(), |status| status.to_string())
}

fn tell_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string())
}

fn tell_unknown(unknown: u32, malformed: Option<Malformed>) -> String {
    match (unknown, malformed) {
        (0, None) => String::new(),
        (_, None) => format!(" ({unknown} unknown)"),
        (0, Some(malformed)) => format!(" ({malformed:?})"),
        (_, Some(malformed)) => format!(" ({unknown} unknown, {malformed:?})"),
    }
}

/// Tells fields as ` [name=value name=value]`; none are nothing.
fn tell_fields(fields: &Fields) -> String {
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

fn tell_end(ended: Option<Ended>) -> &'static str {
    match ended {
        None => "goes on",
        Some(Ended::Complete) => "complete",
        Some(Ended::Reset) => "reset",
        Some(Ended::Closed) => "closed",
        Some(Ended::Upgraded) => "upgraded",
        Some(Ended::Lost) => "lost",
    }
}
