//! Plans of what two HTTP/2 peers send to each other. They shrink towards one stream without a body.

use http_decode::Side;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::fields::{Field, field, fields};
use crate::frame::{PRIORITY_UPDATE, UNASSIGNED};

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) streams: Vec<Stream>,
    /// The side of the traced process.
    pub(crate) traced: Side,
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    /// Bytes that fit into the connection each way.
    pub(crate) pipe: usize,
    /// Whether the traced process writes the header and the payload of a frame in one call.
    pub(crate) vectored: bool,
    pub(crate) goaway: bool,
    pub(crate) rewrite: Rewrite,
}

/// What a peer announces in its SETTINGS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) header_table: u32,
    pub(crate) window: u32,
}

/// What is added to frames on their way to the tape, because h2 does not send it: padding, priorities, more CONTINUATION
/// frames, frames of other types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rewrite {
    pub(crate) seed: u64,
    /// The percentage of frames that are rewritten.
    pub(crate) share: u8,
    /// The type of frames that are put between others.
    pub(crate) other_type: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// The number of times that its client yields before it begins.
    pub(crate) late: usize,
    pub(crate) manner: Manner,
    pub(crate) request: Request,
    pub(crate) informational: Vec<Response>,
    pub(crate) pushes: Vec<(Request, Response)>,
    pub(crate) response: Response,
}

impl Stream {
    /// Returns the number of promises before the response, if there is a response.
    pub(crate) fn promises(&self) -> usize {
        let unanswered = matches!(self.manner, Manner::ClientResetsEarly | Manner::ServerResetsEarly);
        if unanswered { 0 } else { self.pushes.len() }
    }

    /// Makes a GET that is answered without a body a HEAD: to HEAD, h2 takes no body.
    fn ask_for_head_only(&mut self) {
        let whole = matches!(self.manner, Manner::InTurn | Manner::Bidirectional);
        if self.request.method == "GET" && whole && self.response.body.is_empty() {
            self.request.method = "HEAD";
        }
    }
}

/// The order of events on a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// The server reads the whole request, then answers.
    InTurn,
    /// The server sends its response head before it reads the request.
    Bidirectional,
    /// The server responds without reading the request, and drops the stream.
    Unread,
    /// The client resets the stream before it has a response.
    ClientResetsEarly,
    /// The client resets the stream within the response.
    ClientResetsLate,
    /// The server resets the stream instead of answering.
    ServerResetsEarly,
    /// The server resets the stream within the response.
    ServerResetsLate,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Body,
}

/// What follows a head.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    /// Bytes of each piece.
    pub(crate) pieces: Vec<usize>,
    /// Whether an empty DATA frame ends it, where no trailers do.
    pub(crate) closing: bool,
    /// The number of times that the sender yields between pieces.
    pub(crate) pause: usize,
    pub(crate) trailers: Option<Vec<Field>>,
}

impl Body {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.trailers.is_none() && !self.closing
    }
}

/// Makes plans of mostly a few streams, at times of a hundred.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    plan_with(vec![1 << 20, 16_384, 1000, 100], vec![PRIORITY_UPDATE, UNASSIGNED])
}

/// Makes plans where calls do not end within the header of a frame, and no frame is of an unassigned type: where the
/// beginning is missing, http-decode goes by what is usual.
pub(crate) fn usual_plan() -> impl Strategy<Value = Plan> {
    plan_with(vec![1 << 20, 16_384], vec![PRIORITY_UPDATE])
}

fn plan_with(pipes: Vec<usize>, other_types: Vec<u8>) -> impl Strategy<Value = Plan> {
    let streams = prop_oneof![9 => vec(stream(), 1..12), 1 => vec(stream(), 12..=100)];
    let traced = select(vec![Side::Server, Side::Client]);
    let rewrite = (any::<u64>(), select(vec![0, 10, 60]), select(other_types));
    let rewrite = rewrite.prop_map(|(seed, share, other_type)| Rewrite {
        seed,
        share,
        other_type,
    });
    let more = (select(pipes), any::<bool>(), any::<bool>(), rewrite);
    (streams, traced, endpoint(), endpoint(), more).prop_map(
        |(streams, traced, client, server, (pipe, vectored, goaway, rewrite))| Plan {
            streams,
            traced,
            client,
            server,
            pipe,
            vectored,
            goaway,
            rewrite,
        },
    )
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let header_table = select(vec![4096, 0, 100, 65_536]);
    let window = select(vec![1 << 20, 65_535, 3000]);
    (header_table, window).prop_map(|(header_table, window)| Endpoint { header_table, window })
}

fn stream() -> impl Strategy<Value = Stream> {
    let pushes = prop_oneof![6 => Just(Vec::new()), 1 => vec((promise(), response()), 1..3)];
    let informational = prop_oneof![4 => Just(Vec::new()), 1 => vec(interim(), 1..3)];
    (0_usize..40, manner(), request(), informational, pushes, response()).prop_map(
        |(late, manner, request, informational, pushes, response)| {
            let mut stream = Stream {
                late,
                manner,
                request,
                informational,
                pushes,
                response,
            };
            stream.ask_for_head_only();
            stream
        },
    )
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        8 => Just(Manner::InTurn),
        2 => Just(Manner::Bidirectional),
        1 => Just(Manner::Unread),
        1 => Just(Manner::ClientResetsEarly),
        1 => Just(Manner::ClientResetsLate),
        1 => Just(Manner::ServerResetsEarly),
        1 => Just(Manner::ServerResetsLate),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let empty = (select(vec!["GET", "OPTIONS", "PURGE"]), Just(Body::default()));
    let full = (select(vec!["POST", "PUT", "GET"]), body());
    let message = prop_oneof![empty, full];
    (message, uri(), fields()).prop_map(|((method, body), uri, fields)| Request {
        method,
        uri,
        fields,
        body,
    })
}

/// Only GET and HEAD without a body can be promised (RFC 9113 section 8.4).
fn promise() -> impl Strategy<Value = Request> {
    (uri(), fields()).prop_map(|(uri, fields)| Request {
        method: "GET",
        uri,
        fields,
        body: Body::default(),
    })
}

fn uri() -> impl Strategy<Value = String> {
    let scheme = select(vec!["https", "http"]);
    let authority = select(vec!["a.example", "b.example:8443", "127.0.0.1:443", "[::1]:8443"]);
    let path = prop_oneof![
        Just("/".to_owned()),
        Just("/index.html".to_owned()),
        "/[a-z0-9/._~%!-]{0,30}(\\?[a-z0-9=&%_-]{0,30})?",
        "/[a-z]{200,900}",
    ];
    (scheme, authority, path).prop_map(|(scheme, authority, path)| format!("{scheme}://{authority}{path}"))
}

fn interim() -> impl Strategy<Value = Response> {
    (select(vec![100, 103, 199]), fields()).prop_map(|(status, fields)| Response {
        status,
        fields,
        body: Body::default(),
    })
}

fn response() -> impl Strategy<Value = Response> {
    let empty = (select(vec![200, 204, 304, 404]), Just(Body::default()));
    let full = (prop_oneof![Just(200), Just(500), 200_u16..=999], body());
    let message = prop_oneof![1 => empty, 3 => full];
    (message, fields()).prop_map(|((status, body), fields)| Response { status, fields, body })
}

fn body() -> impl Strategy<Value = Body> {
    let piece = prop_oneof![6 => 1_usize..2000, 1 => 16_000_usize..40_000];
    let trailers = prop_oneof![3 => Just(None), 1 => vec(field(), 1..4).prop_map(Some)];
    (vec(piece, 0..4), any::<bool>(), 0_usize..4, trailers).prop_map(|(pieces, closing, pause, trailers)| Body {
        pieces,
        closing,
        pause,
        trailers,
    })
}
