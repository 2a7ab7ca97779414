//! The first line of a candidate, gathered until it is complete or cannot be a start line.

use crate::Limits;
use crate::detect::{self, Guess};

/// A first line in progress.
#[derive(Debug)]
pub(super) enum FirstLine {
    /// It may become a start line.
    Open { gathered: Vec<u8>, blank: usize },
    /// It cannot, or it did.
    Closed,
}

impl Default for FirstLine {
    fn default() -> Self {
        Self::Open {
            gathered: Vec::new(),
            blank: 0,
        }
    }
}

impl FirstLine {
    /// Scans the next bytes; `is_first` tells whether the line is the first of the connection.
    pub(super) fn scan(&mut self, bytes: &[u8], is_first: bool, limits: &Limits) -> Guess {
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
        let guess_line = if is_first { detect::guess_first } else { detect::guess };
        let guess = if *blank > limits.max_blank_bytes || gathered.len() + rest.len() > limits.max_head_bytes {
            Guess::Neither
        } else if gathered.is_empty() {
            guess_line(rest)
        } else {
            let is_plausible = gathered.len() > PREFIX;
            gathered.extend_from_slice(rest);
            // The beginning was plausible; the rest is compared once the line has ended.
            if is_plausible && !ended {
                Guess::NeedMore
            } else {
                guess_line(gathered)
            }
        };
        match guess {
            Guess::NeedMore if gathered.is_empty() => gathered.extend_from_slice(rest),
            Guess::Neither => *self = Self::Closed,
            Guess::NeedMore | Guess::Request | Guess::Response | Guess::Http2 => {}
        }
        guess
    }

    /// Closes a line that cannot become the client preface, or any line if the preface cannot come here.
    pub(super) fn expect_preface(&mut self, may_begin: bool) {
        if let Self::Open { gathered, .. } = self
            && !(may_begin && detect::is_preface(gathered))
        {
            *self = Self::Closed;
        }
    }

    /// Returns whether it may become a start line.
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

/// More bytes than [`detect`] needs to reject a line.
const PREFIX: usize = 64;
