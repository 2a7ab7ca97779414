//! The search for the next message, after sync was lost or before the first message.
//!
//! A start line counts only at the first byte of a call. Content may contain one anywhere, but senders hardly ever begin a
//! call within content that looks like one.

use super::section::Section;
use crate::context::Role;
use crate::detect::{self, Guess};
use crate::{Chunk, Limits};

/// A search for a start line.
#[derive(Debug, Default)]
pub(crate) struct StartLineSearch {
    /// Whether the beginning of the connection has been read.
    begun: bool,
    /// Whether bytes were lost or discarded.
    after_loss: bool,
    /// A line that may become a start line.
    line: Option<Section>,
    /// The end of that line, from the first byte of the latest call on: the line may be content whose end is the end of a
    /// call before.
    latest: Option<Section>,
}

/// The result of a search.
#[derive(Debug)]
pub(crate) enum Found {
    /// The section that a start line begins, and whether bytes before it were lost or discarded.
    StartLine(Section, bool),
    /// No start line in this number of bytes.
    Nothing(u64),
}

impl StartLineSearch {
    /// Searches after bytes were lost.
    pub(crate) fn after_loss() -> Self {
        Self {
            begun: true,
            after_loss: true,
            ..Self::default()
        }
    }

    /// Returns whether bytes were lost or discarded.
    pub(super) fn is_after_loss(&self) -> bool {
        self.after_loss
    }

    /// Searches `chunk`; `None` when it is used up and the result is still open.
    pub(crate) fn read(&mut self, chunk: &mut Chunk<'_>, role: Role, limits: &Limits) -> Option<Found> {
        if chunk.bytes.is_empty() {
            return None;
        }
        if let Some(line) = self.line.take() {
            return self.read_on(line, chunk, role, limits);
        }
        // Position 0 may be the first byte of the connection, although no call begins there.
        if chunk.call_start || (!self.begun && chunk.position == 0) {
            self.begun = true;
            return self.try_line(Section::found(), chunk, role, limits);
        }
        Some(Found::Nothing(chunk.discard()))
    }

    /// Reads on in a line. If it cannot be a start line, what begins with the latest call may be one.
    fn read_on(&mut self, line: Section, chunk: &mut Chunk<'_>, role: Role, limits: &Limits) -> Option<Found> {
        let before = line.bytes().len() as u64;
        let latest = if chunk.call_start {
            Some(Section::found())
        } else {
            self.latest.take()
        };
        let mut call = *chunk;
        let found = self.try_line(line, chunk, role, limits);
        match (found, latest) {
            (Some(Found::Nothing(_)), Some(latest)) => {
                *chunk = call;
                let discarded = before.saturating_sub(latest.bytes().len() as u64);
                // What begins with this call is read anew.
                self.line = (!chunk.call_start).then_some(latest);
                Some(Found::Nothing(discarded))
            }
            (None, Some(latest)) => {
                let (line, after_loss) = (self.line.take(), self.after_loss);
                self.latest = match self.try_line(latest, &mut call, role, limits) {
                    None => self.line.take(),
                    Some(_) => None,
                };
                (self.line, self.after_loss) = (line, after_loss);
                None
            }
            (found, _) => found,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let sections = self.line.iter().chain(&self.latest);
        sections.map(Section::held_bytes).sum()
    }

    /// Reads line by line until it is clear whether `section` begins with a start line.
    fn try_line(&mut self, mut section: Section, chunk: &mut Chunk<'_>, role: Role, limits: &Limits) -> Option<Found> {
        loop {
            let blank = section.skip_blank(chunk, limits);
            if blank.is_ok() && chunk.bytes.is_empty() {
                self.line = Some(section);
                return None;
            }
            let is_plausible = section.bytes().len() > PREFIX;
            let line_ended = blank.and_then(|()| section.read_line(chunk, limits));
            let guess = match line_ended {
                Err(_) => Guess::Neither,
                // The beginning was plausible; the rest is compared once the line has ended.
                Ok(false) if is_plausible => Guess::NeedMore,
                Ok(_) => detect::guess(section.bytes()),
            };
            match (guess, role) {
                (Guess::Request, Role::Requests) | (Guess::Response, Role::Responses) => {
                    return Some(Found::StartLine(section, self.after_loss));
                }
                (Guess::NeedMore, _) => {}
                (_, _) => {
                    self.after_loss = true;
                    let bytes = section.bytes().len() as u64 + chunk.discard();
                    return Some(Found::Nothing(bytes));
                }
            }
        }
    }
}

/// More bytes than [`detect`] needs to reject a line.
const PREFIX: usize = 64;
