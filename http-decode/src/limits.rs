//! Every bound of this crate, what happens at it, and the counter that says it was hit.
//!
//! In: nothing. Out: [`Settings`], [`Limits`], [`Counters`]. Refuses nothing itself: the modules that own a buffer
//! ask here how large it may grow.

use crate::fields::FIELD_BYTES;
use crate::h2::hpack::Decoder;

/// How a connection is to be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// What a peer may make us keep.
    pub limits: Limits,
    /// Nanoseconds after its response head at which an exchange that has not ended is put out all the same.
    pub hold_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            hold_ns: 1_000_000_000,
        }
    }
}

/// Bounds on what one connection keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a head, which is cut there, or of a trailer section; a longer one of these is
    /// [`HeadTooLarge`](crate::Reason::HeadTooLarge).
    pub max_head_bytes: usize,
    /// Fields of a head, which is cut there, or of a trailer section; more of these are
    /// [`HeadTooLarge`](crate::Reason::HeadTooLarge).
    pub max_fields: usize,
    /// Bytes of an HTTP/1 head that are read and not kept; more are [`HeadTooLarge`](crate::Reason::HeadTooLarge).
    pub max_cut_bytes: usize,
    /// Bytes at a connection's beginning that are no HTTP and are held, for the server may call them a bad request.
    pub max_refused_bytes: usize,
    /// Bytes before a start line that are nothing but line ends; more are a malformed head.
    pub max_blank_bytes: usize,
    /// Bytes of a chunk-size line with its extensions; a longer one is a malformed body.
    pub max_chunk_line_bytes: usize,
    /// Bytes held per direction until a hole before them is filled, or until they may be decoded.
    /// At it the first hole is taken as final; what still finds no room becomes a gap.
    pub max_held_bytes: usize,
    /// Chunks held per direction; at it the same happens as at `max_held_bytes`.
    pub max_held_chunks: usize,
    /// Unanswered requests kept; at it they all come out as halves.
    pub max_pending: usize,
    /// Memory of unanswered requests; at it the same happens as at `max_pending`.
    pub max_pending_bytes: usize,
    /// 1xx responses kept per exchange; the rest is counted.
    pub max_informational: usize,
    /// Bytes discarded before any HTTP was seen, after which a connection that was seen whole is called not HTTP.
    pub max_unrecognised_bytes: u64,
    /// Bytes looked at before it is clear that they can be read; then they are discarded.
    pub max_scouted_bytes: usize,
    /// Streams of HTTP/2 open at once; beyond it the oldest is given up.
    pub max_streams: usize,
    /// Memory of open streams; beyond it the oldest is given up.
    pub max_stream_bytes: usize,
    /// Bytes of each direction's HPACK table, as RFC 7541 section 4.1 counts; older entries become unknown.
    pub max_table_bytes: usize,
    /// Memory of outputs that wait for `poll`; decoding pauses at it until they are taken.
    pub max_queued_bytes: usize,
}

impl Limits {
    /// The bounds that a default [`Settings`] uses.
    pub const DEFAULT: Self = Self {
        max_head_bytes: 64 * 1024,
        max_fields: 512,
        max_cut_bytes: 1024 * 1024,
        max_refused_bytes: 16 * 1024,
        max_blank_bytes: 64,
        max_chunk_line_bytes: 4096,
        max_held_bytes: 1024 * 1024,
        max_held_chunks: 4096,
        max_pending: 1024,
        max_pending_bytes: 1024 * 1024,
        max_informational: 16,
        max_unrecognised_bytes: 256 * 1024,
        max_scouted_bytes: 128 * 1024,
        max_streams: 1024,
        max_stream_bytes: 2 * 1024 * 1024,
        max_table_bytes: 64 * 1024,
        max_queued_bytes: 1024 * 1024,
    };

    /// Adds up the most that one connection holds under these limits.
    ///
    /// Per direction: what is held, and the places where reading may begin, one of them with a line whose room doubles as
    /// it comes. Then what the dialogue of one protocol or the
    /// other keeps. Once: the queue, which may be overrun by what was already kept as requests or exchanges.
    pub const fn max_connection_bytes(&self) -> usize {
        let scout = 2 * self.max_head_bytes + MAX_CANDIDATES * CANDIDATE_BYTES;
        let direction = self.max_held_bytes + (self.max_held_chunks + 1) * ENTRY_BYTES + scout;
        let (http1, http2) = (self.max_http1_bytes(), self.max_http2_bytes());
        let dialogue = if http1 > http2 { http1 } else { http2 };
        2 * direction + dialogue + self.max_queued_bytes
    }

    /// Per direction: a head being read, what was read for one and is content, and one that waits for its request. Twice, kept and queued: the unanswered
    /// requests, and the exchange in progress with its 1xx responses and both trailer sections.
    const fn max_http1_bytes(&self) -> usize {
        let head = self.max_parsed_head_bytes();
        let direction = 3 * self.max_head_bytes + head;
        let pending = self.max_pending_bytes + 2 * head;
        2 * direction + 2 * (pending + self.max_exchange_bytes())
    }

    /// Per direction: a header block being put together, and the table. Once: the fields being decoded, whose room doubles
    /// as they come, and the heads that wait until it is known which side asks. Twice, kept and queued: the streams.
    const fn max_http2_bytes(&self) -> usize {
        let head = self.max_parsed_head_bytes();
        let direction = self.max_head_bytes + KEPT_BYTES + Decoder::max_held_bytes(self.max_table_bytes);
        let streams = self.max_stream_bytes + self.max_exchange_bytes() + (self.max_streams + MAX_GONE) * ENTRY_BYTES;
        2 * direction + (2 + MAX_WAITING) * head + 2 * streams
    }

    const fn max_exchange_bytes(&self) -> usize {
        (4 + self.max_informational) * self.max_parsed_head_bytes()
    }

    /// Says what the largest head costs once it is parsed: its bytes and the bookkeeping for each field.
    const fn max_parsed_head_bytes(&self) -> usize {
        self.max_head_bytes + self.max_fields * FIELD_BYTES + EXCHANGE_BYTES
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The most one connection with default limits holds, in bytes.
pub const MAX_CONNECTION_BYTES: usize = Limits::DEFAULT.max_connection_bytes();

/// Room for header blocks that is kept from one to the next.
const KEPT_BYTES: usize = 4096;

/// Streams of HTTP/2 that are remembered because frames of them may still come: more than a peer sends in a round trip.
pub(crate) const MAX_GONE: usize = 256;
/// What waits until it is known which side asks, heads and what follows them: hardly ever more than one head, because the
/// first fields of a head are nearly always in the table that everybody knows.
pub(crate) const MAX_WAITING: usize = 32;
/// Places in one direction where reading may begin that are followed up at once; beyond it the one with the least evidence
/// is given up. More than a few at a time resemble frames only if somebody means them to.
pub(crate) const MAX_CANDIDATES: usize = 16;
/// What one of them costs at most, besides its line.
pub(crate) const CANDIDATE_BYTES: usize = 128;
/// Bytes of HPACK table kept where the encoder's limit is not known: four times what common encoders use.
pub(crate) const LATE_TABLE_BYTES: usize = 16 * 1024;

/// Bytes that are gathered of what may be a header of the PROXY protocol: more than its addresses take.
pub(crate) const PROXY_BYTES: usize = 232;
/// What is charged for a held chunk besides its bytes.
pub(crate) const ENTRY_BYTES: usize = 96;
/// What is charged for an exchange, or the half of one, besides its fields.
pub(crate) const EXCHANGE_BYTES: usize = 1024;

/// How often what happened on a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Exchanges put out, halves included.
    pub exchanges: u64,
    /// Of these, the ones without a request or without a response.
    pub halves: u64,
    /// Trailer sections over `max_head_bytes` or `max_fields`, and heads over `max_cut_bytes`.
    pub heads_too_large: u64,
    /// Heads that were not well-formed.
    pub malformed_heads: u64,
    /// Bodies whose framing was not well-formed.
    pub malformed_bodies: u64,
    /// Times decoding took up again at the first byte of a call.
    pub resynchronised: u64,
    /// Bytes that came and were skipped because no message was known to begin in them.
    pub discarded_bytes: u64,
    /// Bytes that came and were dropped at `max_held_bytes` or `max_held_chunks`.
    pub dropped_bytes: u64,
    /// Times `max_held_bytes` or `max_held_chunks` made a hole final.
    pub gaps_forced: u64,
    /// Bytes that never came, as told in gaps of known length.
    pub missing_bytes: u64,
    /// Gaps of unknown length.
    pub unknown_gaps: u64,
    /// Bytes that came a second time.
    pub repeated_bytes: u64,
    /// Times `max_pending` or `max_pending_bytes` was hit.
    pub pending_overflows: u64,
    /// 1xx responses not kept because of `max_informational`.
    pub informational_dropped: u64,
    /// Responses put out without a request because more than one might have been theirs.
    pub uncertain_pairs: u64,
    /// Requests of HTTP/2 that were read only after their response had come out as a half, and so do not come out.
    pub late_requests: u64,
    /// Requests of HTTP/2 that do not come out, because their client began anew before they were answered.
    pub requests_void: u64,
    /// Frames of HTTP/2 that were not well-formed, so that the step was lost.
    pub malformed_frames: u64,
    /// Times `max_streams` or `max_stream_bytes` made a stream be given up.
    pub streams_given_up: u64,
    /// Heads over `max_head_bytes` or `max_fields`, cut there.
    pub heads_cut: u64,
    /// Frames of HTTP/2 without bytes and without an end.
    pub empty_frames: u64,
    /// Frames of HTTP/2 that were larger than the other side allowed.
    pub oversize_frames: u64,
    /// Bytes that came after the connection had ended.
    pub late_bytes: u64,
}

impl Counters {
    /// Adds what was counted on another connection.
    pub const fn add(&mut self, other: &Self) {
        let Self {
            exchanges,
            halves,
            heads_too_large,
            malformed_heads,
            malformed_bodies,
            resynchronised,
            discarded_bytes,
            dropped_bytes,
            gaps_forced,
            missing_bytes,
            unknown_gaps,
            repeated_bytes,
            pending_overflows,
            informational_dropped,
            uncertain_pairs,
            late_requests,
            requests_void,
            malformed_frames,
            streams_given_up,
            heads_cut,
            empty_frames,
            oversize_frames,
            late_bytes,
        } = *other;
        self.exchanges = self.exchanges.saturating_add(exchanges);
        self.halves = self.halves.saturating_add(halves);
        self.heads_too_large = self.heads_too_large.saturating_add(heads_too_large);
        self.malformed_heads = self.malformed_heads.saturating_add(malformed_heads);
        self.malformed_bodies = self.malformed_bodies.saturating_add(malformed_bodies);
        self.resynchronised = self.resynchronised.saturating_add(resynchronised);
        self.discarded_bytes = self.discarded_bytes.saturating_add(discarded_bytes);
        self.dropped_bytes = self.dropped_bytes.saturating_add(dropped_bytes);
        self.gaps_forced = self.gaps_forced.saturating_add(gaps_forced);
        self.missing_bytes = self.missing_bytes.saturating_add(missing_bytes);
        self.unknown_gaps = self.unknown_gaps.saturating_add(unknown_gaps);
        self.repeated_bytes = self.repeated_bytes.saturating_add(repeated_bytes);
        self.pending_overflows = self.pending_overflows.saturating_add(pending_overflows);
        self.informational_dropped = self.informational_dropped.saturating_add(informational_dropped);
        self.uncertain_pairs = self.uncertain_pairs.saturating_add(uncertain_pairs);
        self.requests_void = self.requests_void.saturating_add(requests_void);
        self.late_requests = self.late_requests.saturating_add(late_requests);
        self.malformed_frames = self.malformed_frames.saturating_add(malformed_frames);
        self.streams_given_up = self.streams_given_up.saturating_add(streams_given_up);
        self.heads_cut = self.heads_cut.saturating_add(heads_cut);
        self.empty_frames = self.empty_frames.saturating_add(empty_frames);
        self.oversize_frames = self.oversize_frames.saturating_add(oversize_frames);
        self.late_bytes = self.late_bytes.saturating_add(late_bytes);
    }
}
