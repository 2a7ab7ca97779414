//! A call that may be the body that was announced, or the next head in its place.
//!
//! A client whose request was answered before it sent the body that it announced with `Expect: 100-continue` may send its
//! next request instead (RFC 9110 section 10.1.1), and the body of a response may bypass the traced library. The first call
//! behind the head decides: either it holds a whole head from its first byte on, or the body begins with it. A body that is
//! exactly as long as that head leaves both possible, and the decoder loses sync.

use super::body::Body;
use super::method;
use super::section::Section;
use crate::chunk::Mark;
use crate::context::Role;
use crate::detect::{self, Match};
use crate::{Chunk, Limits};

/// A body of which nothing has arrived, and the call that may be a head.
#[derive(Debug)]
pub(super) struct BodyOrHead {
    pub(super) body: Body,
    pub(super) head: Section,
    /// Whether the first line is a complete start line.
    pub(super) has_start_line: bool,
    pub(super) if_head: IfHead,
}

/// What a head in place of the body means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IfHead {
    /// The body was not sent.
    ReplacesBody,
    /// It may be the body all the same.
    Ambiguous,
}

impl BodyOrHead {
    pub(super) fn new(body: Body, if_head: IfHead) -> Self {
        Self {
            body,
            head: Section::found(),
            has_start_line: false,
            if_head,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.body.held_bytes() + self.head.held_bytes()
    }

    /// Reads the first line, and compares it with a start line.
    pub(super) fn read_line(&mut self, role: Role, chunk: &mut Chunk<'_>, limits: &Limits) -> Match {
        let Ok(ended) = self.head.read_line(chunk, limits) else {
            return Match::No;
        };
        match (role, self.head.bytes()) {
            // The beginning was plausible; the rest is compared once the line has ended.
            (_, line) if !ended && line.len() > PREFIX => Match::Partial,
            (Role::Requests, line) => match detect::match_request_line(line) {
                Match::Complete if !has_known_method(line) => Match::No,
                matched @ (Match::Complete | Match::Partial | Match::No) => matched,
            },
            (Role::Responses, line) => detect::match_status_line(line),
        }
    }

    /// Returns the body, and the bytes that were gathered and belong to it.
    pub(super) fn into_body(self, chunk: &Chunk<'_>) -> (Body, Reread) {
        let mark = self.head.mark().unwrap_or_else(|| Mark::of(chunk));
        let reread = Reread {
            bytes: self.head.into_bytes(),
            mark,
            read: 0,
        };
        (self.body, reread)
    }
}

/// Bytes that were gathered as a head and are content after all.
#[derive(Debug)]
pub(super) struct Reread {
    bytes: Vec<u8>,
    mark: Mark,
    read: usize,
}

impl Reread {
    /// Returns the bytes that are still to be read.
    pub(super) fn chunk(&self) -> Chunk<'_> {
        Chunk {
            position: self.mark.position.saturating_add(self.read as u64),
            at: self.mark.at,
            origin: self.mark.origin,
            call_start: false,
            bytes: self.bytes.get(self.read..).unwrap_or_default(),
        }
    }

    /// Notes that only the last `count` bytes are still to be read.
    pub(super) fn keep_last(&mut self, count: usize) {
        self.read = self.bytes.len().saturating_sub(count);
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Returns whether a line begins with a known method: content may begin with any other word.
fn has_known_method(line: &[u8]) -> bool {
    let method = line.split(|byte| *byte == b' ').next();
    method.is_some_and(|method| std::str::from_utf8(method).is_ok_and(method::is_known))
}

/// More bytes than [`detect`] needs to reject a line.
const PREFIX: usize = 64;
