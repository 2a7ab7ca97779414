//! Counters of what could not be used, by cause, and their text on stderr.

use http_decode::Reason;

/// Counters of what could not be used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Records of an unknown kind.
    pub unknown_records: u64,
    /// Records shorter than their kind.
    pub short_records: u64,
    /// Records that arrived after later ones had been released, at `MAX_UNORDERED_BYTES`.
    pub late_records: u64,
    /// Connections evicted at `MAX_CONNECTIONS` or `MAX_HELD_BYTES`.
    pub given_up: u64,
    /// Connections whose output was emitted without addresses, at `ADDRESS_NS` or `MAX_ADDRESS_BYTES`.
    pub addresses_late: u64,
    /// Connections that ended while their output was held until the addresses were known.
    pub addresses_never: u64,
    /// Connections reported without the close of their socket, at `MAX_ENDINGS`.
    pub endings_early: u64,
    /// Processes whose names were dropped, at `MAX_PROCESSES`.
    pub processes_forgotten: u64,
    /// Exchanges emitted before they were joined, at `MAX_JOINING` or `MAX_JOINING_BYTES`.
    pub joined_early: u64,
    /// Bytes in gaps of known length.
    pub missing_bytes: u64,
    /// Bytes of early data that were not decoded: the server rejected them, or they were over `MAX_EARLY_BYTES`.
    pub early_bytes: u64,
    /// The counters of the decoders of connections that have ended.
    pub decoding: http_decode::Counters,
    /// Notices of bytes that were not decoded.
    pub undecoded: Undecoded,
}

/// Notices of bytes that arrived and were not decoded, by [`Reason`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Undecoded {
    /// [`Reason::NotHttp`].
    pub not_http: u64,
    /// [`Reason::Unrecognised`].
    pub unrecognised: u64,
    /// [`Reason::Restarted`].
    pub restarted: u64,
    /// [`Reason::MalformedFrame`].
    pub malformed_frame: u64,
    /// [`Reason::HeadTooLarge`].
    pub head_too_large: u64,
    /// [`Reason::MalformedHead`].
    pub malformed_head: u64,
    /// [`Reason::MalformedBody`].
    pub malformed_body: u64,
    /// [`Reason::TooManyPending`].
    pub too_many_pending: u64,
    /// [`Reason::UnknownSide`].
    pub unknown_side: u64,
}

impl Undecoded {
    /// Counts one notice, and returns whether it is the first with its reason.
    pub(super) const fn count(&mut self, reason: Reason) -> bool {
        let counter = match reason {
            Reason::NotHttp => &mut self.not_http,
            Reason::Unrecognised => &mut self.unrecognised,
            Reason::Restarted => &mut self.restarted,
            Reason::MalformedFrame => &mut self.malformed_frame,
            Reason::HeadTooLarge => &mut self.head_too_large,
            Reason::MalformedHead => &mut self.malformed_head,
            Reason::MalformedBody => &mut self.malformed_body,
            Reason::TooManyPending => &mut self.too_many_pending,
            Reason::UnknownSide => &mut self.unknown_side,
        };
        *counter += 1;
        *counter == 1
    }
}

impl Counters {
    /// Adds the counters of a decoder.
    pub(super) const fn add(&mut self, decoder: &http_decode::Counters) {
        self.decoding.add(decoder);
    }

    /// Describes the counters that are not zero, one line each.
    pub fn lines(&self) -> Vec<String> {
        let Self {
            unknown_records,
            short_records,
            late_records,
            given_up,
            addresses_late,
            addresses_never,
            endings_early,
            processes_forgotten,
            joined_early,
            missing_bytes: _,
            early_bytes,
            decoding,
            undecoded,
        } = *self;
        let Undecoded {
            not_http,
            unrecognised,
            restarted,
            malformed_frame,
            head_too_large,
            malformed_head,
            malformed_body,
            too_many_pending,
            unknown_side,
        } = undecoded;
        let counted = [
            (not_http, "connections not decoded, not HTTP"),
            (unrecognised, "connections not decoded, no HTTP recognised"),
            (restarted, "connections begun anew by a client of HTTP/2"),
            (malformed_frame, "stretches not decoded, no frames of HTTP/2"),
            (head_too_large, "heads not decoded, over the limits"),
            (malformed_head, "heads not decoded, malformed"),
            (malformed_body, "bodies not decoded, malformed"),
            (
                too_many_pending,
                "times that requests were given up, too many unanswered",
            ),
            (unknown_side, "heads not decoded, not known which side asks"),
            (decoding.heads_cut, "heads cut, over the limits"),
            (decoding.streams_given_up, "streams given up, over the limits"),
            (given_up, "connections given up, over the limits"),
            (addresses_late, "connections told before their addresses were known"),
            (
                addresses_never,
                "connections that ended before their addresses were known",
            ),
            (
                endings_early,
                "ends of connections told without their sockets', over the limits",
            ),
            (processes_forgotten, "names of processes forgotten, over the limits"),
            (
                joined_early,
                "exchanges printed before they were joined, over the limits",
            ),
            (
                early_bytes,
                "bytes of early data not decoded, refused by the server or over the limits",
            ),
            (unknown_records, "records not understood, of an unknown kind"),
            (short_records, "records not understood, cut short"),
            (
                late_records,
                "records that came too late to be put in order, over the limits",
            ),
        ];
        lines(&counted)
    }

    /// Describes the counters of the decoders that are not zero, one line each.
    pub fn decoding_lines(&self) -> Vec<String> {
        let http_decode::Counters {
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
            events_given_up,
            late_bytes,
            moments_dropped,
        } = self.decoding;
        lines(&[
            (exchanges, "exchanges decoded, those that a filter hides included"),
            (halves, "of these, halves"),
            (
                uncertain_pairs,
                "responses reported alone, more than one request might be theirs",
            ),
            (
                late_requests,
                "requests not reported, understood after their response was",
            ),
            (
                requests_void,
                "requests not reported, their client began anew unanswered",
            ),
            (heads_too_large, "heads and trailers over the limits"),
            (heads_cut, "heads cut at the limits"),
            (malformed_heads, "heads that were not well-formed"),
            (malformed_bodies, "bodies whose framing was not well-formed"),
            (malformed_frames, "frames of HTTP/2 that were not well-formed"),
            (oversize_frames, "frames of HTTP/2 larger than the other side allows"),
            (empty_frames, "frames of HTTP/2 without content and without an end"),
            (
                resynchronised,
                "times decoding began, or went on, at a call in the middle",
            ),
            (missing_bytes, "bytes that never came"),
            (unknown_gaps, "times that an unknown number of bytes never came"),
            (skipped_bytes, "bytes of bodies and tunnels that were not copied"),
            (
                discarded_bytes,
                "bytes passed over, no message was known to begin in them",
            ),
            (
                dropped_bytes,
                "bytes dropped, over the limits while others were awaited",
            ),
            (gaps_forced, "times the limits ended the wait for missing bytes"),
            (repeated_bytes, "bytes that came twice"),
            (late_bytes, "bytes that came after the end of their connection"),
            (moments_dropped, "heads not joined, too many at once"),
            (pending_overflows, "times too many requests were unanswered"),
            (events_given_up, "server-sent events not timed, the first was too long"),
            (streams_given_up, "streams of HTTP/2 given up, too many were open"),
            (
                informational_dropped,
                "1xx responses left out, too many of one exchange",
            ),
        ])
    }
}

fn lines(counted: &[(u64, &str)]) -> Vec<String> {
    counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what}: {count}"))
        .collect()
}

/// Describes a reason, to complete the sentence "not decoded: ...".
pub(super) const fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::NotHttp => "this is not HTTP",
        Reason::Unrecognised => "no HTTP was recognised in what was seen of it",
        Reason::Restarted => "the client of HTTP/2 began anew, and what it asked before was not received",
        Reason::MalformedFrame => "these are no frames of HTTP/2",
        Reason::HeadTooLarge => "a head is over the limits",
        Reason::MalformedHead => "a head is malformed",
        Reason::MalformedBody => "the framing of a body is malformed",
        Reason::TooManyPending => "too many requests are unanswered",
        Reason::UnknownSide => "it is not known which side asks",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counters_that_are_not_zero_are_described() {
        let mut counters = Counters::default();
        counters.add(&http_decode::Counters::default());
        assert!(counters.lines().is_empty());
        assert!(counters.undecoded.count(Reason::MalformedFrame));
        assert!(!counters.undecoded.count(Reason::MalformedFrame));
        counters.add(&http_decode::Counters {
            heads_cut: 3,
            ..http_decode::Counters::default()
        });
        let lines = [
            "stretches not decoded, no frames of HTTP/2: 2",
            "heads cut, over the limits: 3",
        ];
        assert_eq!(counters.lines(), lines);
        assert_eq!(counters.decoding_lines(), ["heads cut at the limits: 3"]);
    }
}
