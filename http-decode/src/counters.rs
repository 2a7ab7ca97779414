//! Counters of one connection: what was emitted, lost, malformed, and cut at a limit.

/// Defines the counters, and their sum.
macro_rules! counters {
    ($($(#[$about:meta])* $counter:ident,)+) => {
        /// Counters of one connection, or the sum of several.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Counters {
            $($(#[$about])* pub $counter: u64,)+
        }

        impl Counters {
            /// Adds the counters of another connection.
            pub const fn add(&mut self, other: &Self) {
                $(self.$counter = self.$counter.saturating_add(other.$counter);)+
            }
        }
    };
}

counters! {
    /// Exchanges emitted, including halves.
    exchanges,
    /// Exchanges emitted without a request or without a response.
    halves,
    /// Trailer sections over `max_head_bytes` or `max_fields`, and heads over `max_cut_bytes`.
    heads_too_large,
    /// Heads that were not well-formed.
    malformed_heads,
    /// Bodies whose framing was not well-formed.
    malformed_bodies,
    /// Times decoding resumed after a loss, or after bytes that were not recognised.
    resynchronised,
    /// Bytes that arrived and were not decoded because no message was known to begin in them.
    discarded_bytes,
    /// Bytes that arrived and were dropped at `max_held_bytes` or `max_held_chunks`.
    dropped_bytes,
    /// Times `max_held_bytes` or `max_held_chunks` ended the wait for missing bytes.
    gaps_forced,
    /// Bytes in gaps of known length.
    missing_bytes,
    /// Gaps of unknown length.
    unknown_gaps,
    /// Bytes that were skipped because they are of no interest.
    skipped_bytes,
    /// Bytes that arrived more than once.
    repeated_bytes,
    /// Times `max_pending` or `max_pending_bytes` was hit.
    pending_overflows,
    /// 1xx responses dropped at `max_informational`.
    informational_dropped,
    /// Responses emitted without a request because more than one request was possible.
    uncertain_pairs,
    /// HTTP/2 requests that were decoded after their response had been emitted as a half, and so are not emitted.
    late_requests,
    /// HTTP/2 requests that are not emitted because their client started over before they were answered.
    requests_void,
    /// HTTP/2 frames that were not well-formed, so that sync was lost.
    malformed_frames,
    /// HTTP/2 streams given up at `max_streams` or `max_stream_bytes`.
    streams_given_up,
    /// Heads cut at `max_head_bytes` or `max_fields`.
    heads_cut,
    /// HTTP/2 frames without bytes that end neither a block nor a stream.
    empty_frames,
    /// HTTP/2 frames larger than the receiver allows.
    oversize_frames,
    /// First server-sent events given up because they were too long.
    events_given_up,
    /// Bytes that arrived after the connection had ended.
    late_bytes,
    /// Moments dropped at `MAX_MOMENTS`.
    moments_dropped,
}
