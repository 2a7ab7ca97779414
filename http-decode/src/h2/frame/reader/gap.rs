//! Stepping over a gap: whether the reader stays in sync, and what the gap took.
//!
//! The reader stays in sync if the gap ends within the frame in progress, because the header gives its length. What the
//! header of that frame said before the gap stays known.

use super::Reader;
use super::lost::{GapEffect, Lost};
use super::state::{Frame, State};
use crate::h2::PREFACE;
use crate::h2::frame::{flag, kind};

impl Reader {
    /// Steps over a gap of `bytes` bytes, or of an unknown number of them.
    pub(crate) fn skip_gap(&mut self, bytes: Option<u64>) -> GapEffect<'_> {
        self.assembly.release();
        let span = bytes.unwrap_or(u64::MAX);
        if span == 0 {
            return GapEffect::InSync(Lost::Nothing);
        }
        let (lost, beyond) = match self.state {
            State::Fixed(frame) | State::Body(frame) | State::Rest(frame) => self.skip_in_frame(frame, span),
            State::Preface(read) => (Lost::Nothing, self.skip_in_preface(read, span)),
            State::Header | State::OutOfSync => (Lost::Nothing, true),
        };
        let lost = if bytes.is_none() { lost.uncounted() } else { lost };
        if !beyond {
            return GapEffect::InSync(self.fill(lost));
        }
        let lost = match (lost, self.assembly.lose()) {
            (Lost::Nothing, Some(block)) => Lost::Block(block),
            (lost, _) => lost,
        };
        self.state = State::OutOfSync;
        self.assembly.close();
        GapEffect::OutOfSync(self.fill(lost))
    }

    /// Steps over bytes of the preface, which are known anyway, and returns whether the gap goes beyond them.
    fn skip_in_preface(&mut self, read: usize, bytes: u64) -> bool {
        let left = PREFACE.len().saturating_sub(read);
        match usize::try_from(bytes) {
            Ok(count) if count <= left => {
                self.state = State::Preface(read + count);
                false
            }
            _ => true,
        }
    }

    /// Steps over bytes of a payload, and returns what the gap took and whether it goes beyond the frame.
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
        self.assembly.skip_rest(&frame.header);
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
