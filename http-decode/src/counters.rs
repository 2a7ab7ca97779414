//! Counters of one connection: what was emitted, lost, malformed, and cut at a limit.

/// Counters of one connection, or the sum of several.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Exchanges emitted, including halves.
    pub exchanges: u64,
    /// Exchanges emitted without a request or without a response.
    pub halves: u64,
    /// Trailer sections over `max_head_bytes` or `max_fields`, and heads over `max_cut_bytes`.
    pub heads_too_large: u64,
    /// Heads that were not well-formed.
    pub malformed_heads: u64,
    /// Bodies whose framing was not well-formed.
    pub malformed_bodies: u64,
    /// Times decoding resumed after a loss, or after bytes that were not recognised.
    pub resynchronised: u64,
    /// Bytes that arrived and were not decoded because no message was known to begin in them.
    pub discarded_bytes: u64,
    /// Bytes that arrived and were dropped at `max_held_bytes` or `max_held_chunks`.
    pub dropped_bytes: u64,
    /// Times `max_held_bytes` or `max_held_chunks` ended the wait for missing bytes.
    pub gaps_forced: u64,
    /// Bytes in gaps of known length.
    pub missing_bytes: u64,
    /// Gaps of unknown length.
    pub unknown_gaps: u64,
    /// Bytes that were skipped because they are of no interest.
    pub skipped_bytes: u64,
    /// Bytes that arrived more than once.
    pub repeated_bytes: u64,
    /// Times `max_pending` or `max_pending_bytes` was hit.
    pub pending_overflows: u64,
    /// 1xx responses dropped at `max_informational`.
    pub informational_dropped: u64,
    /// Responses emitted without a request because more than one request was possible.
    pub uncertain_pairs: u64,
    /// HTTP/2 requests that were decoded after their response had been emitted as a half, and so are not emitted.
    pub late_requests: u64,
    /// HTTP/2 requests that are not emitted because their client started over before they were answered.
    pub requests_void: u64,
    /// HTTP/2 frames that were not well-formed, so that sync was lost.
    pub malformed_frames: u64,
    /// HTTP/2 streams given up at `max_streams` or `max_stream_bytes`.
    pub streams_given_up: u64,
    /// Heads cut at `max_head_bytes` or `max_fields`.
    pub heads_cut: u64,
    /// HTTP/2 frames without bytes that end neither a block nor a stream.
    pub empty_frames: u64,
    /// HTTP/2 frames larger than the receiver allows.
    pub oversize_frames: u64,
    /// Bytes that arrived after the connection had ended.
    pub late_bytes: u64,
}

impl Counters {
    /// Adds the counters of another connection.
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
            skipped_bytes,
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
        self.skipped_bytes = self.skipped_bytes.saturating_add(skipped_bytes);
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
