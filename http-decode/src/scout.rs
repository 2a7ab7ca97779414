//! What a direction carries, and where in it reading can begin, found by looking ahead.
//!
//! In: contiguous bytes, looked at and left where they are. Out: a [`Verdict`]. Refuses to guess early: a start line
//! counts when it is whole, frames of HTTP/2 when enough of them follow each other.

use crate::context::Role;
use crate::detect::{self, Guess};
use crate::h2::chain::Chain;
use crate::{Chunk, Limits};

/// Looks ahead in one direction, from a place where a message may begin.
#[derive(Debug)]
pub(crate) struct Scout {
    known: Known,
    /// Position up to which bytes were looked at.
    looked: u64,
    /// How many of them, since the place in question.
    count: usize,
    /// Whether the beginning of the connection has been looked at.
    begun: bool,
    line: Line,
    chain: Chain,
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    Nothing,
    Http2,
}

/// A first line in the making.
#[derive(Debug)]
enum Line {
    /// It could become one that tells what this is.
    Open { gathered: Vec<u8>, blank: usize },
    /// It cannot.
    Closed,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// More has to be seen.
    Wait,
    /// A start line of HTTP/1 is next.
    StartLine(Role),
    /// The client's connection preface of HTTP/2 is next.
    Preface,
    /// A frame of HTTP/2 is next.
    Frames,
    /// Nothing that can be read begins here.
    Nothing,
}

impl Default for Scout {
    fn default() -> Self {
        Self {
            known: Known::Nothing,
            looked: 0,
            count: 0,
            begun: false,
            line: Line::default(),
            chain: Chain::default(),
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::Open {
            gathered: Vec::new(),
            blank: 0,
        }
    }
}

impl Scout {
    /// Looks for a frame in a direction that lost its step.
    pub(crate) fn for_http2() -> Self {
        Self {
            known: Known::Http2,
            begun: true,
            line: Line::Closed,
            ..Self::default()
        }
    }

    /// Says up to which position bytes were looked at.
    pub(crate) fn looked(&self) -> u64 {
        self.looked
    }

    /// Looks at the bytes that follow those it saw.
    pub(crate) fn look(&mut self, chunk: &Chunk<'_>, limits: &Limits) -> Verdict {
        let first = self.count == 0;
        self.looked = chunk.position.saturating_add(chunk.bytes.len() as u64);
        self.count = self.count.saturating_add(chunk.bytes.len());
        // A connection begins where its positions do; behind a hole it is in the middle of something.
        let begins = chunk.call_start || (!self.begun && chunk.position == 0);
        if first && !begins {
            self.begun = true;
            return Verdict::Nothing;
        }
        self.begun = true;
        match (self.line.look(chunk.bytes, limits), self.known) {
            (Guess::Request, Known::Nothing) => return Verdict::StartLine(Role::Requests),
            (Guess::Response, Known::Nothing) => return Verdict::StartLine(Role::Responses),
            (Guess::Http2, _) => return Verdict::Preface,
            (Guess::Request | Guess::Response, Known::Http2) => self.line = Line::Closed,
            (Guess::NotYet | Guess::Neither, _) => {}
        }
        self.chain.look(chunk.bytes);
        self.judge(limits)
    }

    /// Takes word that the connection speaks HTTP/2: less evidence is enough.
    pub(crate) fn expect_http2(&mut self, limits: &Limits) -> Verdict {
        self.known = Known::Http2;
        if let Line::Open { gathered, .. } = &self.line
            && !detect::is_preface(gathered)
        {
            self.line = Line::Closed;
        }
        if self.count == 0 {
            Verdict::Wait
        } else {
            self.judge(limits)
        }
    }

    /// Takes word that nothing follows what was seen: that it ends where a frame does speaks for frames once more.
    pub(crate) fn conclude(&self) -> Verdict {
        if self.chain.evidence() + u32::from(self.chain.is_whole()) >= self.needed() {
            Verdict::Frames
        } else {
            Verdict::Nothing
        }
    }

    /// Tells whether something was looked at without a verdict.
    pub(crate) fn is_undecided(&self) -> bool {
        self.count > 0
    }

    /// Looks elsewhere.
    pub(crate) fn restart(&mut self) {
        self.looked = 0;
        self.count = 0;
        self.chain = Chain::default();
        self.line = match self.known {
            Known::Nothing => Line::default(),
            Known::Http2 => Line::Closed,
        };
    }

    /// Counts the memory in use.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.line {
            Line::Open { gathered, .. } => gathered.capacity(),
            Line::Closed => 0,
        }
    }

    fn judge(&self, limits: &Limits) -> Verdict {
        if self.chain.evidence() >= self.needed() {
            return Verdict::Frames;
        }
        let hopeless = self.chain.is_broken() && matches!(self.line, Line::Closed);
        if hopeless || self.count > limits.max_scouted_bytes {
            Verdict::Nothing
        } else {
            Verdict::Wait
        }
    }

    fn needed(&self) -> u32 {
        match self.known {
            Known::Nothing => 3,
            Known::Http2 => 2,
        }
    }
}

impl Line {
    fn look(&mut self, bytes: &[u8], limits: &Limits) -> Guess {
        let Self::Open { gathered, blank } = self else {
            return Guess::Neither;
        };
        let mut rest = bytes;
        if gathered.is_empty() {
            // RFC 9112 section 2.2: empty lines before a start line are to be ignored.
            let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            *blank = blank.saturating_add(skipped);
            rest = bytes.get(skipped..).unwrap_or_default();
        }
        let ended = memchr::memchr(b'\n', rest).is_some();
        let guess = if *blank > limits.max_blank_bytes || gathered.len() + rest.len() > limits.max_head_bytes {
            Guess::Neither
        } else if gathered.is_empty() {
            detect::guess(rest)
        } else {
            let judged = gathered.len() > PREFIX;
            gathered.extend_from_slice(rest);
            // Once its beginning was found plausible, a line is not looked at again until it has ended.
            if judged && !ended {
                Guess::NotYet
            } else {
                detect::guess(gathered)
            }
        };
        match guess {
            Guess::NotYet if gathered.is_empty() => gathered.extend_from_slice(rest),
            Guess::Neither => *self = Self::Closed,
            Guess::NotYet | Guess::Request | Guess::Response | Guess::Http2 => {}
        }
        guess
    }
}

/// Longer than the beginnings of start lines that [`detect`] looks at.
const PREFIX: usize = 64;
