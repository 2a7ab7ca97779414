//! What a direction carries, and where in it reading can begin, found by scanning ahead.
//!
//! In: contiguous bytes, scanned and left where they are. Out: a [`Verdict`]. Each call begins a candidate, because the
//! first one may be the middle of a payload that only resembles the beginning of a frame. Refuses to guess early: a
//! start line counts when it is whole, frames of HTTP/2 when enough of them follow each other.

mod line;

use self::line::Line;
use crate::context::Role;
use crate::detect::Guess;
use crate::h2::chain::Chain;
use crate::limits::{CANDIDATE_BYTES, MAX_CANDIDATES};
use crate::{Chunk, Limits};

/// Scans ahead in one direction for a place where a message or a frame begins.
#[derive(Debug, Default)]
pub(crate) struct Scout {
    known: Known,
    /// Position up to which bytes were scanned.
    scanned: u64,
    /// Where messages begin, if not before.
    start: u64,
    /// Whether the beginning of the connection has been scanned.
    begun: bool,
    /// Places where reading may begin, in the order of their positions.
    candidates: Vec<Candidate>,
}

/// What is known of the connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Known {
    #[default]
    Nothing,
    /// It speaks HTTP/2; the client's preface may still come first.
    MayBegin,
    /// It speaks HTTP/2, and this direction is in the middle of it.
    Http2,
}

/// A place where reading may begin.
#[derive(Debug)]
struct Candidate {
    /// Where reading would begin: the beginning of a call, or of a frame behind it if what came before was not kept.
    start: u64,
    line: Line,
    /// The start line that was found, while a candidate before it may yet prove to be a frame around it.
    found: Option<Role>,
    chain: Chain,
    beginning: Beginning,
}

/// Whether a candidate is the beginning of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Beginning {
    /// It is not, or not for sure.
    Unknown,
    /// It is.
    Sure,
    /// It is, and is neither HTTP nor frames: a bad request, if the other side answers so.
    Refused,
}

/// What scanning came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// More has to be seen.
    Wait,
    /// A start line of HTTP/1 is at that position.
    StartLine(Role, u64),
    /// The client's connection preface of HTTP/2 is at that position.
    Preface(u64),
    /// A frame of HTTP/2 is at that position.
    Frames(u64),
}

impl Scout {
    /// Scans for a frame in a direction that lost its step.
    pub(crate) fn for_http2() -> Self {
        Self {
            known: Known::Http2,
            begun: true,
            ..Self::default()
        }
    }

    /// Returns the position up to which bytes were scanned.
    pub(crate) fn scanned(&self) -> u64 {
        self.scanned
    }

    /// Scans the bytes that follow those before. Messages begin at `start`, if not before; `from_start` says that they do.
    pub(crate) fn scan(&mut self, chunk: &Chunk<'_>, start: u64, from_start: bool, limits: &Limits) -> Verdict {
        self.start = start;
        // A connection begins where its positions do; behind a hole it is in the middle of something.
        let begins = chunk.call_start || (!self.begun && chunk.position == start);
        self.begun = true;
        self.scanned = chunk.position.saturating_add(chunk.bytes.len() as u64);
        let mut preface = None;
        for candidate in &mut self.candidates {
            preface = preface.or(candidate.scan(chunk, limits));
        }
        self.drop_hopeless();
        if begins {
            let mut candidate = self.candidate(chunk.position);
            if from_start && chunk.position == start && self.known == Known::Nothing {
                candidate.beginning = Beginning::Sure;
            }
            preface = preface.or(candidate.scan(chunk, limits));
            self.make_room();
            self.candidates.push(candidate);
            self.drop_hopeless();
        }
        if let Some(start) = preface {
            return Verdict::Preface(start);
        }
        let verdict = self.judge(0);
        self.keep_within(limits);
        verdict
    }

    /// Takes word that the connection speaks HTTP/2: less evidence is enough. `may_begin` says whether the client's preface
    /// may come in this direction; it can only come first.
    pub(crate) fn expect_http2(&mut self, may_begin: bool) -> Verdict {
        self.known = if may_begin && !self.begun {
            Known::MayBegin
        } else {
            Known::Http2
        };
        for candidate in &mut self.candidates {
            candidate.found = None;
            candidate.beginning = Beginning::Unknown;
            candidate
                .line
                .expect_preface(may_begin && candidate.start == self.start);
        }
        self.drop_hopeless();
        self.judge(0)
    }

    /// Takes word that nothing follows what was scanned: that it ends where a frame does speaks for frames once more.
    pub(crate) fn conclude(&mut self) -> Verdict {
        while !self.candidates.is_empty() {
            let verdict = self.judge(1);
            if verdict != Verdict::Wait {
                return verdict;
            }
            self.candidates.remove(0);
        }
        Verdict::Wait
    }

    /// Returns whether bytes that were scanned are kept because they may yet prove to be readable.
    pub(crate) fn is_undecided(&self) -> bool {
        self.useless_until() < self.scanned
    }

    /// Takes it that bytes are missing behind what was scanned.
    pub(crate) fn skip_gap(&mut self) {
        self.candidates.clear();
    }

    /// Returns whether what began the connection is kept for nothing but that the other side may refuse it.
    pub(crate) fn awaits_refusal(&self) -> bool {
        let [candidate] = &self.candidates[..] else {
            return false;
        };
        candidate.beginning == Beginning::Refused
    }

    /// Gives up what is kept for that.
    pub(crate) fn drop_refused(&mut self) {
        self.candidates
            .retain(|candidate| candidate.beginning != Beginning::Refused);
    }

    /// Returns the position up to which bytes are of no use any more.
    pub(crate) fn useless_until(&self) -> u64 {
        let first = self.candidates.iter().map(|candidate| candidate.start).min();
        first.unwrap_or(u64::MAX).min(self.scanned)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let lines = self.candidates.iter().map(|candidate| candidate.line.held_bytes());
        lines.sum::<usize>() + self.candidates.capacity() * size_of::<Candidate>()
    }

    /// Begins a candidate. Only one line is gathered at a time: one that a later call goes on with ends that call's, too.
    fn candidate(&mut self, start: u64) -> Candidate {
        let gathering = self.candidates.iter().any(|candidate| candidate.line.is_open());
        let line = match self.known {
            Known::Nothing | Known::MayBegin if !gathering => Line::default(),
            Known::Nothing | Known::MayBegin | Known::Http2 => Line::Closed,
        };
        if self.known == Known::MayBegin {
            self.known = Known::Http2;
        }
        Candidate {
            start,
            line,
            found: None,
            chain: Chain::default(),
            beginning: Beginning::Unknown,
        }
    }

    fn drop_hopeless(&mut self) {
        self.candidates.retain_mut(|candidate| {
            if candidate.is_hopeless() && candidate.beginning == Beginning::Sure {
                candidate.beginning = Beginning::Refused;
            }
            !candidate.is_hopeless()
        });
    }

    /// Drops the oldest of those that have the least evidence.
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

    /// Finds the first candidate with enough evidence; a frame that would end now has `ends` more of it.
    ///
    /// A later one that lies within what would be an earlier one's frame needs as much more as speaks for the earlier one.
    fn judge(&self, ends: u32) -> Verdict {
        let mut contrary = 0;
        for candidate in &self.candidates {
            let Candidate {
                start, found, chain, ..
            } = candidate;
            if candidate.beginning == Beginning::Refused {
                continue;
            }
            if let Some(role) = *found
                && contrary == 0
            {
                return Verdict::StartLine(role, *start);
            }
            let evidence = chain.evidence() + if chain.is_whole() { ends } else { 0 };
            if *start <= self.scanned && evidence >= self.needed() + u32::from(chain.is_odd()) + contrary {
                return Verdict::Frames(*start);
            }
            contrary = contrary.max(evidence);
        }
        Verdict::Wait
    }

    fn needed(&self) -> u32 {
        match self.known {
            Known::Nothing => 3,
            Known::MayBegin | Known::Http2 => 2,
        }
    }

    /// Gives up what the limit does not allow to keep: of a long frame its content, else the candidate.
    fn keep_within(&mut self, limits: &Limits) {
        let limit = limits.max_scouted_bytes as u64;
        let scanned = self.scanned;
        self.candidates.retain_mut(|candidate| {
            if candidate.beginning == Beginning::Refused {
                return scanned <= limits.max_refused_bytes as u64;
            }
            if scanned.saturating_sub(candidate.start) <= limit {
                return true;
            }
            candidate.line = Line::Closed;
            let left = candidate.chain.within_frame();
            candidate.start = scanned.saturating_add(left.unwrap_or_default());
            left.is_some()
        });
    }
}

impl Candidate {
    /// Scans what follows; gives the position of the client's preface if this is one.
    fn scan(&mut self, chunk: &Chunk<'_>, limits: &Limits) -> Option<u64> {
        match self.line.scan(chunk.bytes, self.beginning, limits) {
            Guess::Request => self.find(Role::Requests),
            Guess::Response => self.find(Role::Responses),
            Guess::Http2 => return Some(self.start),
            Guess::NotYet | Guess::Neither => {}
        }
        self.chain.scan(chunk.bytes, chunk.call_start);
        None
    }

    fn find(&mut self, role: Role) {
        self.line = Line::Closed;
        self.found = Some(role);
    }

    fn is_hopeless(&self) -> bool {
        self.beginning != Beginning::Refused
            && self.chain.is_broken()
            && self.found.is_none()
            && matches!(self.line, Line::Closed)
    }
}

const _: () = assert!(size_of::<Candidate>() <= CANDIDATE_BYTES, "the bound counts with less");
