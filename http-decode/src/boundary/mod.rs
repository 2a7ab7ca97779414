//! Finding where decoding can begin in a direction: the scan for a message or frame boundary, and for the protocol.
//!
//! Contiguous bytes are scanned and stay where they are. Each call begins a candidate, because the first call may be the
//! middle of a payload that only looks like a frame. A start line decides once it is complete; frames decide once enough of
//! them follow each other. HTTP/2 is scanned in the same way after it lost sync.

mod candidate;
mod first_line;

use self::candidate::{Candidate, ConnectionStart};
use self::first_line::FirstLine;
use crate::context::Role;
use crate::limits::MAX_CANDIDATES;
use crate::{Chunk, Limits};

/// Scans one direction for a boundary.
#[derive(Debug, Default)]
pub(crate) struct BoundaryScanner {
    protocol: KnownProtocol,
    /// The position up to which bytes were scanned.
    scanned: u64,
    /// The first position of a message, if none begins earlier: behind a PROXY protocol header.
    start: u64,
    /// Whether the beginning of the connection has been scanned.
    begun: bool,
    /// Positions where decoding may begin, in order.
    candidates: Vec<Candidate>,
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum KnownProtocol {
    /// Nothing.
    #[default]
    Unknown,
    /// It is HTTP/2, and the client preface may still come in this direction.
    Http2Preface,
    /// It is HTTP/2.
    Http2,
}

/// The result of a scan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// More bytes are needed.
    NeedMore,
    /// An HTTP/1 start line is at this position.
    StartLine(Role, u64),
    /// The client preface of HTTP/2 is at this position.
    Preface(u64),
    /// An HTTP/2 frame is at this position.
    Frames(u64),
}

impl BoundaryScanner {
    /// Scans for a frame in a direction of HTTP/2 that lost sync.
    pub(crate) fn for_http2() -> Self {
        Self {
            protocol: KnownProtocol::Http2,
            begun: true,
            ..Self::default()
        }
    }

    /// Returns the position up to which bytes were scanned.
    pub(crate) fn scanned(&self) -> u64 {
        self.scanned
    }

    /// Scans the next bytes. Messages begin at `start`, or earlier if not `from_start`: then the connection was joined late.
    pub(crate) fn scan(&mut self, chunk: &Chunk<'_>, start: u64, from_start: bool, limits: &Limits) -> Verdict {
        self.start = start;
        // `start` may be the first byte of a message although no call begins there.
        let begins = chunk.call_start || (!self.begun && chunk.position == start);
        self.begun = true;
        self.scanned = chunk.position.saturating_add(chunk.bytes.len() as u64);
        let mut preface = None;
        for candidate in &mut self.candidates {
            preface = preface.or(candidate.scan(chunk, limits));
        }
        self.drop_ruled_out();
        if begins {
            let mut candidate = self.new_candidate(chunk.position);
            if from_start && chunk.position == start && self.protocol == KnownProtocol::Unknown {
                candidate.connection_start = ConnectionStart::Certain;
            }
            preface = preface.or(candidate.scan(chunk, limits));
            self.make_room();
            self.candidates.push(candidate);
            self.drop_ruled_out();
        }
        if let Some(start) = preface {
            return Verdict::Preface(start);
        }
        let verdict = self.judge(0);
        self.keep_within(limits);
        verdict
    }

    /// Notes that the connection is HTTP/2, so that less evidence is enough. `may_begin` tells whether the client preface may
    /// come in this direction; it can only come first.
    pub(crate) fn expect_http2(&mut self, may_begin: bool) -> Verdict {
        self.protocol = if may_begin && !self.begun {
            KnownProtocol::Http2Preface
        } else {
            KnownProtocol::Http2
        };
        for candidate in &mut self.candidates {
            candidate.found = None;
            candidate.connection_start = ConnectionStart::Unknown;
            candidate
                .line
                .expect_preface(may_begin && candidate.start == self.start);
        }
        self.drop_ruled_out();
        self.judge(0)
    }

    /// Decides on the scanned bytes, which nothing will follow. That they end where a frame ends is evidence for frames.
    pub(crate) fn conclude(&mut self) -> Verdict {
        while !self.candidates.is_empty() {
            let verdict = self.judge(1);
            if verdict != Verdict::NeedMore {
                return verdict;
            }
            self.candidates.remove(0);
        }
        Verdict::NeedMore
    }

    /// Returns whether scanned bytes are kept because a message or frame may begin in them.
    pub(crate) fn is_undecided(&self) -> bool {
        self.unneeded_until() < self.scanned
    }

    /// Notes a gap behind the scanned bytes: no candidate can be followed across it.
    pub(crate) fn skip_gap(&mut self) {
        self.candidates.clear();
    }

    /// Returns whether bytes are kept only because the other side may respond to them with an error.
    pub(crate) fn awaits_error(&self) -> bool {
        let [candidate] = &self.candidates[..] else {
            return false;
        };
        candidate.connection_start == ConnectionStart::NotHttp
    }

    /// Drops the bytes that are kept only because of that.
    pub(crate) fn drop_unparsable(&mut self) {
        self.candidates
            .retain(|candidate| candidate.connection_start != ConnectionStart::NotHttp);
    }

    /// Returns the position up to which bytes are not needed any more.
    pub(crate) fn unneeded_until(&self) -> u64 {
        let first = self.candidates.iter().map(|candidate| candidate.start).min();
        first.unwrap_or(u64::MAX).min(self.scanned)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let lines = self.candidates.iter().map(|candidate| candidate.line.held_bytes());
        lines.sum::<usize>() + self.candidates.capacity() * size_of::<Candidate>()
    }

    /// Makes a candidate. Only one line is gathered at a time: where it ends, a line that begins later ends too.
    fn new_candidate(&mut self, start: u64) -> Candidate {
        let gathers = self.candidates.iter().any(|candidate| candidate.line.is_open());
        let line = match self.protocol {
            KnownProtocol::Unknown | KnownProtocol::Http2Preface if !gathers => FirstLine::default(),
            KnownProtocol::Unknown | KnownProtocol::Http2Preface | KnownProtocol::Http2 => FirstLine::Closed,
        };
        if self.protocol == KnownProtocol::Http2Preface {
            self.protocol = KnownProtocol::Http2;
        }
        Candidate::new(start, line)
    }

    fn drop_ruled_out(&mut self) {
        self.candidates.retain_mut(|candidate| {
            if candidate.is_ruled_out() && candidate.connection_start == ConnectionStart::Certain {
                candidate.connection_start = ConnectionStart::NotHttp;
            }
            !candidate.is_ruled_out()
        });
    }

    /// At the limit, drops the oldest of the candidates with the least evidence.
    fn make_room(&mut self) {
        if self.candidates.len() >= MAX_CANDIDATES {
            let weakest = (0..)
                .zip(&self.candidates)
                .min_by_key(|(_, candidate)| candidate.chain.evidence());
            if let Some((index, _)) = weakest {
                self.candidates.remove(index);
            }
        }
    }

    /// Finds the first candidate with enough evidence. A frame that ends with the scanned bytes counts `ends` more.
    ///
    /// A candidate may be inside a frame of an earlier candidate, so it needs as much more evidence as the earlier one has.
    fn judge(&self, ends: u32) -> Verdict {
        let mut contrary = 0;
        for candidate in &self.candidates {
            let Candidate {
                start, found, chain, ..
            } = candidate;
            if candidate.connection_start == ConnectionStart::NotHttp {
                continue;
            }
            if let Some(role) = *found
                && contrary == 0
            {
                return Verdict::StartLine(role, *start);
            }
            let evidence = chain.evidence() + if chain.ends_at_boundary() { ends } else { 0 };
            if *start <= self.scanned
                && evidence >= self.needed_evidence() + u32::from(chain.has_unusual_start()) + contrary
            {
                return Verdict::Frames(*start);
            }
            contrary = contrary.max(evidence);
        }
        Verdict::NeedMore
    }

    fn needed_evidence(&self) -> u32 {
        match self.protocol {
            KnownProtocol::Unknown => 3,
            KnownProtocol::Http2Preface | KnownProtocol::Http2 => 2,
        }
    }

    /// Drops what is over the limit: within a long frame its content, otherwise the candidate.
    fn keep_within(&mut self, limits: &Limits) {
        let limit = limits.max_scanned_bytes as u64;
        let scanned = self.scanned;
        self.candidates.retain_mut(|candidate| {
            if candidate.connection_start == ConnectionStart::NotHttp {
                return scanned <= limits.max_unparsable_bytes as u64;
            }
            if scanned.saturating_sub(candidate.start) <= limit {
                return true;
            }
            candidate.line = FirstLine::Closed;
            let left = candidate.chain.left_in_frame();
            candidate.start = scanned.saturating_add(left.unwrap_or_default());
            left.is_some()
        });
    }
}
