//! What could not be used, counted by cause, and said in words.

use http_decode::Reason;

/// What could not be used so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Records of an unknown kind.
    pub unknown_records: u64,
    /// Records shorter than their kind.
    pub short_records: u64,
    /// Records that came after later ones had gone on, because too many waited.
    pub late_records: u64,
    /// Connections given up because there were too many, or because they together held too much.
    pub given_up: u64,
    /// Connections told without addresses, because they did not come in time or too much waited for them.
    pub addresses_late: u64,
    /// Connections whose end was told without their socket's, because too many waited.
    pub endings_early: u64,
    /// Processes whose names were forgotten, because there were too many.
    pub processes_forgotten: u64,
    /// Bytes in holes, whatever the cause.
    pub missing_bytes: u64,
    /// Heads of HTTP/2 of which only the beginning was kept.
    pub heads_cut: u64,
    /// Streams of HTTP/2 given up because too many were open.
    pub streams_given_up: u64,
    /// Stretches that were not decoded.
    pub undecoded: Undecoded,
}

/// Stretches that came and were not decoded, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Undecoded {
    /// Not HTTP.
    pub not_http: u64,
    /// Joined late or with losses, and without anything that was recognised as HTTP.
    pub unrecognised: u64,
    /// Bytes of HTTP/2 that were no frames.
    pub malformed_frame: u64,
    /// A head over the limits.
    pub head_too_large: u64,
    /// A malformed head.
    pub malformed_head: u64,
    /// A body whose framing was malformed.
    pub malformed_body: u64,
    /// More unanswered requests than the limits allow.
    pub too_many_pending: u64,
    /// A head of HTTP/2 that does not tell which side asks.
    pub unknown_side: u64,
}

impl Undecoded {
    /// Counts one stretch; tells whether it is the first for its reason.
    pub(super) const fn count(&mut self, reason: Reason) -> bool {
        let counter = match reason {
            Reason::NotHttp => &mut self.not_http,
            Reason::Unrecognised => &mut self.unrecognised,
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
    /// Adds what a decoder counted that it does not say by itself.
    pub(super) const fn add(&mut self, decoder: &http_decode::Counters) {
        self.heads_cut += decoder.heads_cut;
        self.streams_given_up += decoder.streams_given_up;
    }

    /// Says what was counted, a line for each cause that occurred.
    pub fn lines(&self) -> Vec<String> {
        let Self {
            unknown_records,
            short_records,
            late_records,
            given_up,
            addresses_late,
            endings_early,
            processes_forgotten,
            missing_bytes: _,
            heads_cut,
            streams_given_up,
            undecoded,
        } = *self;
        let Undecoded {
            not_http,
            unrecognised,
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
            (malformed_frame, "stretches not decoded, no frames of HTTP/2"),
            (head_too_large, "heads not decoded, over the limits"),
            (malformed_head, "heads not decoded, malformed"),
            (malformed_body, "bodies not decoded, malformed"),
            (
                too_many_pending,
                "times that requests were given up, too many unanswered",
            ),
            (unknown_side, "heads not decoded, not known which side asks"),
            (heads_cut, "heads cut, over the limits"),
            (streams_given_up, "streams given up, over the limits"),
            (given_up, "connections given up, over the limits"),
            (addresses_late, "connections told before their addresses were known"),
            (
                endings_early,
                "ends of connections told without their sockets', over the limits",
            ),
            (processes_forgotten, "names of processes forgotten, over the limits"),
            (unknown_records, "records not understood, of an unknown kind"),
            (short_records, "records not understood, cut short"),
            (
                late_records,
                "records that came too late to be put in order, over the limits",
            ),
        ];
        counted
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{what}: {count}"))
            .collect()
    }
}

/// Says why bytes were not decoded, to finish the sentence "not decoded: ...".
pub(super) const fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::NotHttp => "this is not HTTP",
        Reason::Unrecognised => "no HTTP was recognised in what was seen of it",
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
    fn only_what_occurred_is_said() {
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
    }
}
