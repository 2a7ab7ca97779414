//! Server-sent events: when the first byte of a stream of events came, and when its first event was whole.
//!
//! The format is that of HTML section 9.2.6: lines end with CR, LF or both, and a blank line dispatches what the `data` lines
//! before it said. A stream may begin with comments that keep it open, which are no event. Nothing of the content is kept.

use crate::limits::MAX_EVENT_BYTES;
use crate::{ResponseHead, Timestamp};

/// When the content of a stream of server-sent events came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerEvents {
    first_byte_at: Option<Timestamp>,
    first_event_at: Option<Timestamp>,
    scan: Scan,
    /// Content that was read.
    bytes: u64,
}

/// What the next byte of content belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scan {
    /// An event that is not whole.
    Event(Line, Data),
    /// Nothing is searched any more: the event was found, or bytes of it were not seen, or it is too long or encoded.
    Over,
}

/// A line in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    /// Nothing of it has come. If the line before ended with CR, an LF belongs to that.
    Start { after_cr: bool },
    /// As many bytes of `data` as this.
    Name(usize),
    /// A line of `data`.
    Data,
    /// Another one.
    Other,
}

/// Whether an event in progress has data. An event without is not dispatched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Data {
    None,
    Some,
}

impl ServerEvents {
    /// Returns the state at the beginning of the content behind a head; `None` if that is no stream of events.
    pub(crate) fn behind(head: &ResponseHead) -> Option<Self> {
        let kind = head.fields.get("content-type")?.value?;
        let kind = kind.expose().split(|byte| *byte == b';').next().unwrap_or_default();
        if !kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream") {
            return None;
        }
        let mut codings = head.fields.values("content-encoding");
        let is_encoded = codings.any(|value| !value.expose().trim_ascii().eq_ignore_ascii_case(b"identity"));
        let scan = if is_encoded {
            Scan::Over
        } else {
            Scan::Event(Line::Start { after_cr: false }, Data::None)
        };
        Some(Self {
            first_byte_at: None,
            first_event_at: None,
            scan,
            bytes: 0,
        })
    }

    /// Returns when the first byte of content came; `None` if it has not come or was not seen.
    pub const fn first_byte_at(&self) -> Option<Timestamp> {
        self.first_byte_at
    }

    /// Returns when the first event was whole; `None` if that has not come, was not seen, or cannot be read.
    pub const fn first_event_at(&self) -> Option<Timestamp> {
        self.first_event_at
    }

    /// Returns whether the bytes that follow may show the first event.
    pub(crate) const fn awaits_event(&self) -> bool {
        matches!(self.scan, Scan::Event(..))
    }

    /// Reads content that came at `at`. Returns `false` if the first event is given up because it is too long.
    pub(crate) fn read(&mut self, content: &[u8], at: Timestamp) -> bool {
        if content.is_empty() {
            return true;
        }
        if self.bytes == 0 {
            self.first_byte_at = Some(at);
        }
        self.bytes = self.bytes.saturating_add(content.len() as u64);
        let Scan::Event(mut line, mut data) = self.scan else {
            return true;
        };
        for byte in content {
            if data == Data::Some && is_blank(line, *byte) {
                self.first_event_at = Some(at);
                self.scan = Scan::Over;
                return true;
            }
            (line, data) = step(line, data, *byte);
        }
        let is_short = self.bytes <= MAX_EVENT_BYTES;
        self.scan = if is_short { Scan::Event(line, data) } else { Scan::Over };
        is_short
    }

    /// Notes that content was not seen.
    pub(crate) fn lose(&mut self) {
        // A first byte that comes later is not the first one.
        self.bytes = self.bytes.max(1);
        self.scan = Scan::Over;
    }
}

/// Reads a byte that does not end an event.
fn step(line: Line, data: Data, byte: u8) -> (Line, Data) {
    if ends_line(byte) {
        let is_data = matches!(line, Line::Data) || line == Line::Name(NAME.len());
        let after_cr = byte == b'\r';
        return (Line::Start { after_cr }, if is_data { Data::Some } else { data });
    }
    let line = match line {
        Line::Start { .. } | Line::Name(_) => {
            let matched = if let Line::Name(matched) = line { matched } else { 0 };
            match NAME.get(matched) {
                Some(wanted) if *wanted == byte => Line::Name(matched + 1),
                None if byte == b':' => Line::Data,
                Some(_) | None => Line::Other,
            }
        }
        Line::Data => Line::Data,
        Line::Other => Line::Other,
    };
    (line, data)
}

/// Returns whether a byte ends a line in which nothing has come.
const fn is_blank(line: Line, byte: u8) -> bool {
    match line {
        Line::Start { after_cr } => ends_line(byte) && !(after_cr && byte == b'\n'),
        Line::Name(_) | Line::Data | Line::Other => false,
    }
}

const fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The name of the field that an event must have.
const NAME: &[u8] = b"data";

/// Returns the last `count` of the bytes that were taken off `before` to leave `after`; `None` if they were not all in it.
pub(crate) fn last_taken<'a>(before: &'a [u8], after: &[u8], count: u64) -> Option<&'a [u8]> {
    let end = before.len().checked_sub(after.len())?;
    let begin = end.checked_sub(usize::try_from(count).ok()?)?;
    before.get(begin..end)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest, sample::select};

    use super::*;
    use crate::{Field, Fields, Unredacted};

    fn head(fields: &[(&str, &str)]) -> ResponseHead {
        let mut all = Fields::default();
        for (name, value) in fields {
            all.push(Field {
                name: Some(name),
                value: Some(Unredacted::borrowed(value.as_bytes())),
                never_indexed: false,
            });
        }
        ResponseHead {
            fields: all,
            ..ResponseHead::default()
        }
    }

    fn events() -> ServerEvents {
        ServerEvents::behind(&head(&[("content-type", "text/event-stream; charset=utf-8")])).unwrap()
    }

    /// Returns how many bytes there are up to the end of the first event, each read at the time that is its number.
    fn first_event(content: &[u8]) -> Option<u64> {
        let mut events = events();
        for (number, byte) in content.iter().enumerate() {
            events.read(&[*byte], Timestamp(number as u64 + 1));
        }
        assert_eq!(events.first_byte_at(), (!content.is_empty()).then_some(Timestamp(1)));
        events.first_event_at().map(|at| at.0)
    }

    #[test]
    fn an_event_is_whole_at_the_blank_line_behind_its_data() {
        for (content, expected) in [
            ("data: a\n\n", Some(9)),
            ("data: a\r\n\r\n", Some(10)),
            ("data: a\r\r", Some(9)),
            ("data\n\n", Some(6)),
            ("data:\n\n", Some(7)),
            (": keep\n\ndata: a\n\nx", Some(17)),
            ("event: ping\n\ndata: a\n\n", Some(22)),
            ("event: x\nid: 1\ndata: a\ndata: b\n\n", Some(32)),
            ("\n\n\ndata: a\n\n", Some(12)),
            ("data: a\n", None),
            ("data: a\r\n", None),
            ("data: a\r\n\r", Some(10)),
            ("database: a\n\n", None),
            ("dat\n\n", None),
            (" data: a\n\n", None),
            (": data: a\n\n", None),
            ("", None),
        ] {
            assert_eq!(first_event(content.as_bytes()), expected, "{content:?}");
        }
    }

    #[test]
    fn only_streams_of_events_are_read_and_encoded_ones_not_for_events() {
        assert!(ServerEvents::behind(&head(&[])).is_none());
        assert!(ServerEvents::behind(&head(&[("content-type", "text/html")])).is_none());
        assert!(ServerEvents::behind(&head(&[("content-type", "text/event-streams")])).is_none());
        let kind = ("content-type", "Text/Event-Stream");
        assert!(
            ServerEvents::behind(&head(&[kind, ("content-encoding", "identity")]))
                .unwrap()
                .awaits_event()
        );
        let mut encoded = ServerEvents::behind(&head(&[kind, ("content-encoding", "gzip")])).unwrap();
        assert!(!encoded.awaits_event());
        encoded.read(b"data: a\n\n", Timestamp(7));
        assert_eq!(
            (encoded.first_byte_at(), encoded.first_event_at()),
            (Some(Timestamp(7)), None)
        );
    }

    #[test]
    fn what_was_not_seen_is_unknown() {
        let mut lost = events();
        lost.lose();
        lost.read(b"data: a\n\n", Timestamp(1));
        assert_eq!((lost.first_byte_at(), lost.first_event_at()), (None, None));
        let mut cut = events();
        cut.read(b"data: a\n", Timestamp(1));
        cut.lose();
        cut.read(b"\ndata: b\n\n", Timestamp(2));
        assert_eq!((cut.first_byte_at(), cut.first_event_at()), (Some(Timestamp(1)), None));
    }

    #[test]
    fn an_event_that_is_too_long_is_given_up_once() {
        let mut events = events();
        let part = vec![b'x'; usize::try_from(MAX_EVENT_BYTES).unwrap()];
        assert!(events.read(&part, Timestamp(1)) && events.awaits_event());
        assert!(!events.read(b"x", Timestamp(2)) && !events.awaits_event());
        assert!(events.read(b"\ndata: a\n\n", Timestamp(3)));
        assert_eq!(events.first_event_at(), None);
    }

    #[test]
    fn the_last_bytes_taken_are_those_before_the_rest() {
        assert_eq!(last_taken(b"3\r\nabcdef", b"def", 3), Some(&b"abc"[..]));
        assert_eq!(last_taken(b"abc", b"", 0), Some(&b""[..]));
        assert_eq!(last_taken(b"abc", b"c", 3), None);
    }

    proptest! {
        #[test]
        fn how_content_is_split_changes_nothing(
            pieces in vec(select(&["data", ":", "a", "\r", "\n", "\r\n", "event", " "][..]), 0..30),
            at in any::<proptest::sample::Index>(),
        ) {
            let content = pieces.concat().into_bytes();
            let (mut whole, mut parts) = (events(), events());
            whole.read(&content, Timestamp(1));
            let (first, second) = content.split_at(at.index(content.len() + 1));
            parts.read(first, Timestamp(1));
            parts.read(second, Timestamp(1));
            prop_assert_eq!(parts, whole);
        }
    }
}
