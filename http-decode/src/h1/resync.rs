//! The next place where a message begins, after it was lost or before it was known.
//!
//! In: bytes that may be anything. Out: the section of a head whose first line is a start line, or how much was
//! skipped. Refuses a start line anywhere but at the first byte of a call: content may hold one, a sender's calls
//! hardly ever part there.

use super::section::Section;
use crate::context::Role;
use crate::detect::{self, Guess};
use crate::{Chunk, Limits};

/// A search for a start line.
#[derive(Debug, Default)]
pub(crate) struct Seek {
    /// Whether the beginning of the connection has been looked at.
    begun: bool,
    passed: Passed,
    /// A line that could become a start line.
    line: Option<Section>,
}

/// Whether bytes were passed over in a search.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Passed {
    /// None were.
    #[default]
    Nothing,
    /// Some were, or are lost.
    Some,
}

/// What a search came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A start line's section, and whether anything was skipped before it.
    Start(Section, Passed),
    /// Nothing in so many bytes.
    Nothing(u64),
}

impl Seek {
    /// Searches where it is known that bytes were lost.
    pub(crate) fn out_of_step() -> Self {
        Self {
            begun: true,
            passed: Passed::Some,
            line: None,
        }
    }

    /// Returns whether bytes were passed over.
    pub(super) fn has_passed(&self) -> bool {
        self.passed == Passed::Some
    }

    /// Looks at `chunk`; `None` when it is used up and the answer is still open.
    pub(crate) fn read(&mut self, chunk: &mut Chunk<'_>, role: Role, limits: &Limits) -> Option<Found> {
        if chunk.bytes.is_empty() {
            return None;
        }
        if let Some(line) = self.line.take() {
            // What was gathered may be the end of something else, and this call the beginning of a message.
            let again = chunk.call_start.then_some(*chunk);
            let found = self.try_line(line, chunk, role, limits);
            if let (Some(Found::Nothing(bytes)), Some(again)) = (&found, again) {
                let skipped = bytes.saturating_sub(again.bytes.len() as u64);
                *chunk = again;
                return Some(Found::Nothing(skipped));
            }
            return found;
        }
        // A connection begins where its positions do; behind a hole it is in the middle of something.
        if chunk.call_start || (!self.begun && chunk.position == 0) {
            self.begun = true;
            return self.try_line(Section::found(), chunk, role, limits);
        }
        Some(Found::Nothing(chunk.discard()))
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.line.as_ref().map_or(0, Section::held_bytes)
    }

    /// Reads on line by line until it is clear what `section` begins.
    fn try_line(&mut self, mut section: Section, chunk: &mut Chunk<'_>, role: Role, limits: &Limits) -> Option<Found> {
        loop {
            let blank = section.skip_blank(chunk, limits);
            if blank.is_ok() && chunk.bytes.is_empty() {
                self.line = Some(section);
                return None;
            }
            let judged = section.bytes().len() > PREFIX;
            let line_ended = blank.and_then(|()| section.read_line(chunk, limits));
            let guess = match line_ended {
                Err(_) => Guess::Neither,
                // Once its beginning was found plausible, a line is not looked at again until it has ended.
                Ok(false) if judged => Guess::NotYet,
                Ok(_) => detect::guess(section.bytes()),
            };
            match (guess, role) {
                (Guess::Request, Role::Requests) | (Guess::Response, Role::Responses) => {
                    return Some(Found::Start(section, self.passed));
                }
                (Guess::NotYet, _) => {}
                (_, _) => {
                    self.passed = Passed::Some;
                    let bytes = section.bytes().len() as u64 + chunk.discard();
                    return Some(Found::Nothing(bytes));
                }
            }
        }
    }
}

/// Longer than the beginnings of start lines that [`detect`] looks at.
const PREFIX: usize = 64;
