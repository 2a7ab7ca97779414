//! What a hole takes from a direction, and whether the reader can go on behind it.
//!
//! In: the length of a hole. Out: a [`Skipped`]. Refuses to go on where a frame header may have been lost; whatever the
//! header of the frame in progress has told before the hole stays known.

use super::{Block, Frame, PREFACE, Reader, State, flag, kind};

/// What a hole did to the reader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Skipped<'a> {
    /// It ended within the frame in progress, or at its end.
    InStep(Lost<'a>),
    /// It may have held a frame header: the reader has to be replaced where a boundary is known again.
    OutOfStep(Lost<'a>),
}

/// What a hole took of the frame, or of the header block, in progress.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lost<'a> {
    /// Nothing that matters: padding, or a frame without interest.
    Nothing,
    /// So many bytes of DATA content.
    Content {
        /// The stream they are on.
        stream: u32,
        /// How many; none if the hole took only padding and the end.
        bytes: u64,
        /// Whether it also took the frame's end, and the frame says `END_STREAM`: no event tells it again.
        ends_stream: bool,
    },
    /// A pad length, and with it how many bytes of content the DATA frame has: none of them are told.
    ContentUnknown {
        /// The stream they are on.
        stream: u32,
        /// As with `Content`.
        ends_stream: bool,
    },
    /// Part of a header block: this is its beginning, and what follows of it is passed over.
    Block(Block<'a>),
    /// The error code of `RST_STREAM`.
    Reset {
        /// The stream that is given up.
        stream: u32,
    },
    /// Part of what SETTINGS or GOAWAY says: no event tells the rest.
    Control {
        /// The kind of frame.
        kind: u8,
    },
}

impl Lost<'_> {
    /// Takes back how much content the hole took.
    fn uncounted(self) -> Self {
        if let Self::Content {
            stream,
            bytes: 1..,
            ends_stream,
        } = self
        {
            return Self::ContentUnknown { stream, ends_stream };
        }
        self
    }
}

impl Reader {
    /// Steps over a hole of `bytes` bytes, or of an unknown number of them, which may end anywhere.
    pub(crate) fn skip_gap(&mut self, bytes: Option<u64>) -> Skipped<'_> {
        self.assembly.forget();
        let span = bytes.unwrap_or(u64::MAX);
        if span == 0 {
            return Skipped::InStep(Lost::Nothing);
        }
        let (lost, beyond) = match self.state {
            State::Fixed(frame) | State::Body(frame) | State::Rest(frame) => self.skip_in_frame(frame, span),
            State::Preface(behind) => (Lost::Nothing, self.skip_in_preface(behind, span)),
            State::Header | State::OutOfStep => (Lost::Nothing, true),
        };
        let lost = if bytes.is_none() { lost.uncounted() } else { lost };
        if !beyond {
            return Skipped::InStep(self.fill(lost));
        }
        let lost = match (lost, self.assembly.lose()) {
            (Lost::Nothing, Some(block)) => Lost::Block(block),
            (lost, _) => lost,
        };
        self.state = State::OutOfStep;
        self.assembly.close();
        Skipped::OutOfStep(self.fill(lost))
    }

    /// Steps over bytes that are known anyway, and tells whether the hole goes beyond them.
    fn skip_in_preface(&mut self, behind: usize, bytes: u64) -> bool {
        let left = PREFACE.len().saturating_sub(behind);
        match usize::try_from(bytes) {
            Ok(count) if count <= left => {
                self.state = State::Preface(behind + count);
                false
            }
            _ => true,
        }
    }

    /// Steps over what the hole takes of a payload, and tells whether it goes beyond.
    fn skip_in_frame(&mut self, mut frame: Frame, bytes: u64) -> (Lost<'static>, bool) {
        let gathered = u32::try_from(std::mem::take(&mut self.fixed.have)).unwrap_or_default();
        frame.left = frame.left.saturating_sub(gathered);
        let beyond = bytes > frame.left.into();
        let count = u32::try_from(bytes).unwrap_or(u32::MAX).min(frame.left);
        let lost = match frame.header.kind {
            kind::DATA => self.lose_content(&frame, count),
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => self.lose_fragment(&frame),
            _ => self.lose_fixed(&frame),
        };
        frame.left -= count;
        self.state = match frame.left {
            0 => State::Header,
            _ if matches!(lost, Lost::Content { .. }) => State::Body(frame),
            _ => State::Rest(frame),
        };
        (lost, beyond)
    }

    fn lose_content(&self, frame: &Frame, count: u32) -> Lost<'static> {
        let stream = frame.header.stream;
        let ends_stream = count == frame.left && frame.header.has(flag::END_STREAM);
        if matches!(self.state, State::Fixed(_)) {
            return Lost::ContentUnknown { stream, ends_stream };
        }
        let bytes = if matches!(self.state, State::Body(_)) {
            count.min(frame.left.saturating_sub(frame.padding)).into()
        } else {
            0
        };
        if bytes > 0 || ends_stream {
            Lost::Content {
                stream,
                bytes,
                ends_stream,
            }
        } else {
            Lost::Nothing
        }
    }

    fn lose_fragment(&mut self, frame: &Frame) -> Lost<'static> {
        if matches!(self.state, State::Rest(_)) {
            return Lost::Nothing;
        }
        let block = self.assembly.lose();
        self.assembly.pass(&frame.header);
        block.map_or(Lost::Nothing, Lost::Block)
    }

    fn lose_fixed(&self, frame: &Frame) -> Lost<'static> {
        match (self.state, frame.header.kind) {
            (State::Fixed(_), kind::RST_STREAM) => Lost::Reset {
                stream: frame.header.stream,
            },
            (State::Fixed(_), kind) => Lost::Control { kind },
            _ => Lost::Nothing,
        }
    }

    fn fill<'a>(&'a self, lost: Lost<'a>) -> Lost<'a> {
        if let Lost::Block(block) = lost {
            Lost::Block(self.assembly.fill(block))
        } else {
            lost
        }
    }
}
