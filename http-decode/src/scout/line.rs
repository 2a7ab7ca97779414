//! A first line in the making.
//!
//! In: contiguous bytes from the beginning of a call. Out: a [`Guess`] as soon as the line is whole or cannot become a
//! start line. Refuses to gather more than a head may have.

use super::Beginning;
use crate::Limits;
use crate::detect::{self, Guess};

/// A first line in the making.
#[derive(Debug)]
pub(super) enum Line {
    /// It could become one that tells what this is.
    Open { gathered: Vec<u8>, blank: usize },
    /// It cannot.
    Closed,
}

impl Default for Line {
    fn default() -> Self {
        Self::Open {
            gathered: Vec::new(),
            blank: 0,
        }
    }
}

impl Line {
    /// Scans what follows.
    pub(super) fn scan(&mut self, bytes: &[u8], beginning: Beginning, limits: &Limits) -> Guess {
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
        let judge = match beginning {
            Beginning::Sure => detect::guess_first,
            Beginning::Unknown | Beginning::Refused => detect::guess,
        };
        let guess = if *blank > limits.max_blank_bytes || gathered.len() + rest.len() > limits.max_head_bytes {
            Guess::Neither
        } else if gathered.is_empty() {
            judge(rest)
        } else {
            let judged = gathered.len() > PREFIX;
            gathered.extend_from_slice(rest);
            // Once its beginning was found plausible, a line is not judged again until it has ended.
            if judged && !ended {
                Guess::NotYet
            } else {
                judge(gathered)
            }
        };
        match guess {
            Guess::NotYet if gathered.is_empty() => gathered.extend_from_slice(rest),
            Guess::Neither => *self = Self::Closed,
            Guess::NotYet | Guess::Request | Guess::Response | Guess::Http2 => {}
        }
        guess
    }

    /// Gives up what cannot become the client's preface, or whatever it is if that cannot come here.
    pub(super) fn expect_preface(&mut self, may_begin: bool) {
        if let Self::Open { gathered, .. } = self
            && !(may_begin && detect::is_preface(gathered))
        {
            *self = Self::Closed;
        }
    }

    /// Returns whether this may yet become a start line.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Open { gathered, .. } => gathered.capacity(),
            Self::Closed => 0,
        }
    }
}

/// Longer than the beginnings of start lines that [`detect`] judges.
const PREFIX: usize = 64;
