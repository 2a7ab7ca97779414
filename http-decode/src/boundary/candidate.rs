//! A position where decoding may begin, and the evidence for it.

use super::first_line::FirstLine;
use crate::context::Role;
use crate::detect::Guess;
use crate::h2::chain::FrameChain;
use crate::limits::CANDIDATE_BYTES;
use crate::{Chunk, Limits};

/// A position where decoding may begin.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The position: the start of a call, or of a frame in it if the bytes before that frame were not kept.
    pub(super) start: u64,
    pub(super) line: FirstLine,
    /// What the start line that was found carries, while an earlier candidate may still prove to be a frame around it.
    pub(super) found: Option<Role>,
    pub(super) chain: FrameChain,
    pub(super) connection_start: ConnectionStart,
}

/// Whether a candidate is the start of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ConnectionStart {
    /// It is not, or this is unknown.
    Unknown,
    /// It is.
    Certain,
    /// It is, and the bytes are neither HTTP nor frames: a bad request, if the other side responds with an error.
    NotHttp,
}

impl Candidate {
    pub(super) fn new(start: u64, line: FirstLine) -> Self {
        Self {
            start,
            line,
            found: None,
            chain: FrameChain::default(),
            connection_start: ConnectionStart::Unknown,
        }
    }

    /// Scans the next bytes, and returns the position of the client preface if the candidate is that.
    pub(super) fn scan(&mut self, chunk: &Chunk<'_>, limits: &Limits) -> Option<u64> {
        let is_first = self.connection_start == ConnectionStart::Certain;
        match self.line.scan(chunk.bytes, is_first, limits) {
            Guess::Request => self.find(Role::Requests),
            Guess::Response => self.find(Role::Responses),
            Guess::Http2 => return Some(self.start),
            Guess::NeedMore | Guess::Neither => {}
        }
        self.chain.scan(chunk.bytes, chunk.call_start);
        None
    }

    /// Returns whether the candidate is neither a message nor frames.
    pub(super) fn is_ruled_out(&self) -> bool {
        self.connection_start != ConnectionStart::NotHttp
            && self.chain.is_broken()
            && self.found.is_none()
            && matches!(self.line, FirstLine::Closed)
    }

    fn find(&mut self, role: Role) {
        self.line = FirstLine::Closed;
        self.found = Some(role);
    }
}

const _: () = assert!(
    size_of::<Candidate>() <= CANDIDATE_BYTES,
    "the memory bound counts with less"
);
