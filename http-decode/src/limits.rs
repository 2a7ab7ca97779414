//! Every bound of this crate, and what happens at it.
//!
//! A peer can make each buffer and table grow. Each has a bound here, and a counter in [`Counters`](crate::Counters) for
//! when it was hit. [`Limits::max_connection_bytes`] adds the bounds up.

use crate::fields::FIELD_BYTES;
use crate::h2::hpack::Decoder;

/// Maximum moments of a connection that wait to be taken. Beyond it, they are counted and dropped.
pub const MAX_MOMENTS: usize = 2048;

/// How a connection is decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Bounds on memory.
    pub limits: Limits,
    /// Nanoseconds from the response head after which an exchange is emitted even if it goes on.
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
    /// Bytes of a head or trailer section. A longer head is cut; a longer trailer section is
    /// [`HeadTooLarge`](crate::Reason::HeadTooLarge).
    pub max_head_bytes: usize,
    /// Fields of a head or trailer section. A head with more is cut; a trailer section with more is
    /// [`HeadTooLarge`](crate::Reason::HeadTooLarge).
    pub max_fields: usize,
    /// Bytes that are cut off an HTTP/1 head; more are [`HeadTooLarge`](crate::Reason::HeadTooLarge).
    pub max_cut_bytes: usize,
    /// Bytes at the beginning of a connection that are not HTTP, held because the server may answer them as a bad request.
    pub max_unparsable_bytes: usize,
    /// Line ends before a start line, in bytes; more are a malformed head.
    pub max_blank_bytes: usize,
    /// Bytes of a chunk-size line with its extensions; a longer one is a malformed body.
    pub max_chunk_line_bytes: usize,
    /// Bytes held per direction while bytes before them are missing, or until they may be decoded. When they exceed the
    /// bound, the wait for missing bytes ends; bytes that still find no room become a gap.
    pub max_held_bytes: usize,
    /// Chunks held per direction; the same happens as at `max_held_bytes`.
    pub max_held_chunks: usize,
    /// Unanswered HTTP/1 requests kept; with more, all are emitted as halves.
    pub max_pending: usize,
    /// Memory of unanswered HTTP/1 requests, in bytes; the same happens as at `max_pending`.
    pub max_pending_bytes: usize,
    /// 1xx responses kept per exchange; more are counted and dropped.
    pub max_informational: usize,
    /// Bytes discarded before any HTTP was seen; with more, a connection of which every byte was seen is reported as
    /// [`NotHttp`](crate::Reason::NotHttp), and not decoded any more.
    pub max_unrecognised_bytes: u64,
    /// Bytes scanned before it is clear whether they can be decoded; more are discarded.
    pub max_scanned_bytes: usize,
    /// HTTP/2 streams open at once; with more, the oldest is given up.
    pub max_streams: usize,
    /// Memory of open HTTP/2 streams, in bytes; with more, the oldest is given up.
    pub max_stream_bytes: usize,
    /// Bytes of the HPACK table of each direction, as RFC 7541 section 4.1 counts them; older entries become unknown.
    pub max_table_bytes: usize,
    /// Memory of outputs that wait for `poll`, in bytes; decoding pauses until they are polled.
    pub max_queued_bytes: usize,
}

impl Limits {
    /// The bounds of the default [`Settings`].
    pub const DEFAULT: Self = Self {
        max_head_bytes: 64 * 1024,
        max_fields: 512,
        max_cut_bytes: 1024 * 1024,
        max_unparsable_bytes: 16 * 1024,
        max_blank_bytes: 64,
        max_chunk_line_bytes: 4096,
        max_held_bytes: 1024 * 1024,
        max_held_chunks: 4096,
        max_pending: 1024,
        max_pending_bytes: 1024 * 1024,
        max_informational: 16,
        max_unrecognised_bytes: 256 * 1024,
        max_scanned_bytes: 128 * 1024,
        max_streams: 1024,
        max_stream_bytes: 2 * 1024 * 1024,
        max_table_bytes: 64 * 1024,
        max_queued_bytes: 1024 * 1024,
    };

    /// Returns the most memory that one connection holds under these limits, in bytes.
    ///
    /// Per direction: the held chunks, and the boundary candidates, one of them with a line whose capacity doubles as it
    /// grows. Once: the session of either protocol, and the queue, which what the session kept may exceed.
    pub const fn max_connection_bytes(&self) -> usize {
        let candidates = 2 * self.max_head_bytes + MAX_CANDIDATES * CANDIDATE_BYTES;
        let direction = self.max_held_bytes + (self.max_held_chunks + 1) * ENTRY_BYTES + candidates;
        let (http1, http2) = (self.max_http1_bytes(), self.max_http2_bytes());
        let session = if http1 > http2 { http1 } else { http2 };
        2 * direction + session + self.max_queued_bytes
    }

    /// Per direction: the head being read, bytes that were gathered as a head and are content, and a head that waits for its
    /// request. Twice, kept and queued: the unanswered requests, and the exchange in progress with its 1xx responses and
    /// both trailer sections.
    const fn max_http1_bytes(&self) -> usize {
        let head = self.max_parsed_head_bytes();
        let direction = 3 * self.max_head_bytes + head;
        let pending = self.max_pending_bytes + 2 * head;
        2 * direction + 2 * (pending + self.max_exchange_bytes())
    }

    /// Per direction: the header block being assembled, and the table. Once: the fields being decoded, whose capacity doubles
    /// as they grow, and the events queued until the side is known. Twice, kept and queued: the streams.
    const fn max_http2_bytes(&self) -> usize {
        let head = self.max_parsed_head_bytes();
        let direction = self.max_head_bytes + KEPT_BYTES + Decoder::max_held_bytes(self.max_table_bytes);
        let streams =
            self.max_stream_bytes + self.max_exchange_bytes() + (self.max_streams + MAX_FINISHED_STREAMS) * ENTRY_BYTES;
        2 * direction + (2 + MAX_QUEUED_EVENTS) * head + 2 * streams
    }

    const fn max_exchange_bytes(&self) -> usize {
        (4 + self.max_informational) * self.max_parsed_head_bytes()
    }

    /// Returns the memory of the largest parsed head: its bytes and the bookkeeping for each field.
    const fn max_parsed_head_bytes(&self) -> usize {
        self.max_head_bytes + self.max_fields * FIELD_BYTES + EXCHANGE_BYTES
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The most memory that one connection with default limits holds, in bytes.
pub const MAX_CONNECTION_BYTES: usize = Limits::DEFAULT.max_connection_bytes();

/// Memory for header blocks that is kept from one to the next.
const KEPT_BYTES: usize = 4096;

/// Finished HTTP/2 streams that are remembered because frames of them may still arrive: more than a peer starts in a round
/// trip.
pub(crate) const MAX_FINISHED_STREAMS: usize = 256;
/// HTTP/2 events queued until it is known which side is the client. There is hardly ever more than one head among them,
/// because the first fields of a head are nearly always in the static table, and show which side sent it.
pub(crate) const MAX_QUEUED_EVENTS: usize = 32;
/// Boundary candidates per direction; with more, the one with the least evidence is dropped. More than a few at a time look
/// like frames only if they were made to.
pub(crate) const MAX_CANDIDATES: usize = 16;
/// The memory of a candidate besides its line.
pub(crate) const CANDIDATE_BYTES: usize = 128;
/// Bytes of an HPACK table whose limit is unknown: four times what common encoders use.
pub(crate) const LATE_TABLE_BYTES: usize = 16 * 1024;

/// Bytes gathered of what may be a PROXY protocol header: more than its addresses take.
pub(crate) const PROXY_BYTES: usize = 232;
/// Content of a stream of server-sent events that is read for its first event; beyond it, the event is given up and counted.
pub(crate) const MAX_EVENT_BYTES: u64 = 256 * 1024;
/// The memory of a held chunk besides its bytes.
pub(crate) const ENTRY_BYTES: usize = 96;
/// The memory of an exchange, or of half of one, besides its fields.
pub(crate) const EXCHANGE_BYTES: usize = 1024;
