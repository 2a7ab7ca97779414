//! Random conversations with known exchanges. Both heads of an exchange have its number in `x-id`, so that a wrong pair shows.

use std::fmt::{self, Write as _};

use http_decode::{
    Chunk, Connection, Direction, Ended, Exchange, Fields, Gap, GapCause, Output, RequestHead, STRETCH, Timestamp,
};
use proptest::prelude::*;

/// The expected numbers of an exchange.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) informational: usize,
}

/// One read or write call.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) direction: Direction,
    pub(crate) at: u64,
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
    /// Whether it is the first call of a client that pipelines, which shows that it does.
    pub(crate) shows_pipelining: bool,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) calls: Vec<Call>,
    pub(crate) known: Vec<Known>,
}

/// A part of a call, as it was captured.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) direction: Direction,
    pub(crate) at: u64,
    pub(crate) position: u64,
    pub(crate) call_start: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) shows_pipelining: bool,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {} at {}: {}",
            self.direction,
            self.position,
            self.at,
            self.bytes.escape_ascii()
        )
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = if self.call_start { "call" } else { "more" };
        write!(
            f,
            "{:?} {} at {}, {start}: {}",
            self.direction,
            self.position,
            self.at,
            self.bytes.escape_ascii()
        )
    }
}

impl Conversation {
    /// Cuts the calls into pieces of these lengths.
    pub(crate) fn pieces(&self, cuts: &[usize]) -> Vec<Piece> {
        cut(&self.calls, cuts)
    }

    /// Returns a time after everything.
    pub(crate) fn end(&self) -> Timestamp {
        Timestamp(self.calls.last().map_or(0, |call| call.at) + 10)
    }
}

/// Cuts calls into pieces of these lengths.
pub(crate) fn cut(calls: &[Call], cuts: &[usize]) -> Vec<Piece> {
    let mut cuts = cuts.iter().copied().cycle();
    let mut pieces = Vec::new();
    for call in calls {
        let mut start = 0;
        while start < call.bytes.len() {
            let length = cuts.next().unwrap_or(usize::MAX).clamp(1, call.bytes.len() - start);
            pieces.push(Piece {
                direction: call.direction,
                at: call.at,
                position: call.position + start as u64,
                call_start: start == 0,
                bytes: call.bytes[start..start + length].to_vec(),
                shows_pipelining: call.shows_pipelining,
            });
            start += length;
        }
    }
    pieces
}

/// Pushes a piece.
pub(crate) fn push(connection: &mut Connection, piece: &Piece) {
    let Piece {
        direction,
        at,
        position,
        call_start,
        bytes,
        shows_pipelining: _,
    } = piece;
    let chunk = Chunk {
        position: *position,
        at: Timestamp(*at),
        origin: 0,
        call_start: *call_start,
        bytes: bytes.as_slice(),
    };
    connection.push(*direction, chunk);
}

/// Removes a piece as a gap of unknown length: what follows it in its direction is in another stretch.
pub(crate) fn lose_uncounted(pieces: &mut Vec<Piece>, index: usize) -> Gap {
    let lost = pieces.remove(index);
    let length = lost.bytes.len() as u64;
    let behind = pieces.iter_mut().filter(|piece| piece.direction == lost.direction);
    for piece in behind.filter(|piece| piece.position > lost.position) {
        piece.position = piece.position - length + STRETCH;
    }
    Gap {
        direction: lost.direction,
        position: lost.position,
        span: STRETCH,
        cause: GapCause::NotCaptured,
        at: None,
    }
}

/// Polls all outputs.
pub(crate) fn drain(connection: &mut Connection) -> Vec<Output> {
    std::iter::from_fn(|| connection.poll()).collect()
}

/// Pushes pieces, settles, closes, and returns the outputs.
pub(crate) fn decode(pieces: &[Piece], end: Timestamp) -> Vec<Output> {
    let mut connection = Connection::new(http_decode::Settings::default());
    let mut outputs = Vec::new();
    for piece in pieces {
        push(&mut connection, piece);
        outputs.extend(drain(&mut connection));
    }
    connection.settle(end);
    outputs.extend(drain(&mut connection));
    connection.close(end, Ended::Closed, None);
    outputs.extend(drain(&mut connection));
    outputs
}

/// Returns the exchanges among outputs.
pub(crate) fn exchanges(outputs: &[Output]) -> Vec<&Exchange> {
    let exchanges = outputs.iter().filter_map(|output| match output {
        Output::Exchange(exchange) => Some(exchange.as_ref()),
        Output::End(_) | Output::Gap(_) | Output::Undecoded(..) => None,
    });
    exchanges.collect()
}

/// Returns the number of an exchange in a request head.
pub(crate) fn request_id(head: &RequestHead) -> usize {
    id(&head.fields)
}

/// Returns the number of an exchange in the fields of a head.
pub(crate) fn id(fields: &Fields) -> usize {
    let value = fields.get("x-id").expect("an x-id").value.expect("a value").expose();
    std::str::from_utf8(value).expect("a number").parse().expect("a number")
}

/// Makes conversations, of clients that wait for each response and of clients that pipeline.
pub(crate) fn conversation() -> impl Strategy<Value = Conversation> {
    any::<bool>().prop_flat_map(conversation_of)
}

/// Makes conversations of one kind of client.
pub(crate) fn conversation_of(lockstep: bool) -> impl Strategy<Value = Conversation> {
    let exchange = (request(), response(), 0_usize..3, any::<bool>());
    (proptest::collection::vec(exchange, 2..7), 2_usize..4)
        .prop_map(move |(exchanges, depth)| build(&exchanges, lockstep, depth))
}

type Planned = (RequestPlan, ResponsePlan, usize, bool);

#[derive(Clone, Debug)]
enum BodyPlan {
    None,
    Length(Vec<u8>),
    Chunked(Vec<u8>, usize, bool),
}

#[derive(Clone, Debug)]
struct RequestPlan {
    method: &'static str,
    body: BodyPlan,
}

#[derive(Clone, Debug)]
struct ResponsePlan {
    status: u16,
    body: BodyPlan,
}

fn request() -> impl Strategy<Value = RequestPlan> {
    prop_oneof![
        Just(RequestPlan {
            method: "GET",
            body: BodyPlan::None
        }),
        Just(RequestPlan {
            method: "HEAD",
            body: BodyPlan::None
        }),
        body().prop_map(|body| RequestPlan { method: "POST", body }),
    ]
}

fn response() -> impl Strategy<Value = ResponsePlan> {
    prop_oneof![
        1 => Just(ResponsePlan { status: 204, body: BodyPlan::None }),
        1 => Just(ResponsePlan { status: 304, body: BodyPlan::Length(vec![b'x'; 9]) }),
        4 => body().prop_map(|body| ResponsePlan { status: 200, body }),
    ]
}

/// Bodies begin with an `x` and may hold what looks like a message, but never at the first byte of a call.
fn body() -> impl Strategy<Value = BodyPlan> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        Just(b"\r\n\r\nGET /decoy HTTP/1.1\r\nx-id: 999\r\n\r\n".to_vec()),
        Just(b"\r\n\r\nHTTP/1.1 200 OK\r\nx-id: 999\r\ncontent-length: 0\r\n\r\n".to_vec()),
    ]
    .prop_map(|bytes| [vec![b'x'], bytes].concat());
    prop_oneof![
        bytes.clone().prop_map(BodyPlan::Length),
        (bytes, 1_usize..60, any::<bool>())
            .prop_map(|(bytes, size, trailers)| BodyPlan::Chunked(bytes, size, trailers)),
        Just(BodyPlan::Length(Vec::new())),
    ]
}

/// Writes a message as head and body.
fn message(start: &str, id: usize, body: &BodyPlan, sent: bool) -> [Vec<u8>; 2] {
    let mut head = format!("{start}\r\nHost: a\r\nX-Id: {id}\r\n");
    let mut rest = Vec::new();
    match body {
        BodyPlan::None => {}
        BodyPlan::Length(bytes) => {
            write!(head, "Content-Length: {}\r\n", bytes.len()).expect("a string takes everything");
            rest.extend_from_slice(bytes);
        }
        BodyPlan::Chunked(bytes, size, trailers) => {
            head += "Transfer-Encoding: chunked\r\n";
            for part in bytes.chunks(*size) {
                rest.extend_from_slice(format!("{:x};a=b\r\n", part.len()).as_bytes());
                rest.extend_from_slice(part);
                rest.extend_from_slice(b"\r\n");
            }
            rest.extend_from_slice(if *trailers {
                b"0\r\nGrpc-Status: 0\r\n\r\n"
            } else {
                b"0\r\n\r\n"
            });
        }
    }
    head += "\r\n";
    [head.into_bytes(), if sent { rest } else { Vec::new() }]
}

fn content(body: &BodyPlan) -> u64 {
    match body {
        BodyPlan::None => 0,
        BodyPlan::Length(bytes) | BodyPlan::Chunked(bytes, ..) => bytes.len() as u64,
    }
}

fn build(planned: &[Planned], lockstep: bool, depth: usize) -> Conversation {
    let mut writer = Writer::default();
    let mut known = Vec::new();
    let mut sent = 0;
    for (index, (request, response, informational, joined)) in planned.iter().enumerate() {
        let ahead = if lockstep { 1 } else { depth };
        if sent == 0 && !lockstep {
            let both = (0..2)
                .flat_map(|id| written_request(id, &planned[id].0).concat())
                .collect();
            writer.call(Direction::Read, both, true);
            sent = 2;
        }
        while sent < planned.len() && sent < index + ahead {
            writer.message(
                Direction::Read,
                written_request(sent, &planned[sent].0),
                planned[sent].3,
            );
            sent += 1;
        }
        for _ in 0..*informational {
            writer.call(Direction::Write, b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec(), false);
        }
        let has_body = request.method != "HEAD" && response.status == 200;
        let start = format!("HTTP/1.1 {} Fine", response.status);
        writer.message(
            Direction::Write,
            message(&start, index, &response.body, has_body),
            *joined,
        );
        known.push(Known {
            request_bytes: content(&request.body),
            response_bytes: if has_body { content(&response.body) } else { 0 },
            informational: *informational,
        });
    }
    Conversation {
        calls: writer.calls,
        known,
    }
}

fn written_request(id: usize, plan: &RequestPlan) -> [Vec<u8>; 2] {
    message(&format!("{} /{id} HTTP/1.1", plan.method), id, &plan.body, true)
}

#[derive(Default)]
struct Writer {
    calls: Vec<Call>,
    read: u64,
    written: u64,
}

impl Writer {
    /// Writes head and body, in one call or in two.
    fn message(&mut self, direction: Direction, [head, body]: [Vec<u8>; 2], joined: bool) {
        if joined {
            self.call(direction, [head, body].concat(), false);
        } else {
            self.call(direction, head, false);
            self.call(direction, body, false);
        }
    }

    fn call(&mut self, direction: Direction, bytes: Vec<u8>, shows_pipelining: bool) {
        if bytes.is_empty() {
            return;
        }
        let next = if direction == Direction::Read {
            &mut self.read
        } else {
            &mut self.written
        };
        let position = *next;
        *next += bytes.len() as u64;
        let at = 10 * (self.calls.len() as u64 + 1);
        self.calls.push(Call {
            direction,
            at,
            position,
            bytes,
            shows_pipelining,
        });
    }
}
