//! Reading the payload of the frame in progress.
//!
//! Padding longer than the frame, and a promise of a stream that no server may open, are errors of the connection.

use super::Reader;
use super::event::Event;
use super::fixed::word;
use super::state::{Frame, State, Step};
use crate::Chunk;
use crate::h2::frame::payload::is_promised;
use crate::h2::frame::{ErrorCode, flag, kind};

impl Reader {
    pub(super) fn read_fixed<'c>(&mut self, mut frame: Frame, chunk: &mut Chunk<'c>) -> Step<'c> {
        let header = frame.header;
        if header.kind == kind::SETTINGS && frame.left == 0 {
            self.state = State::Header;
            return Step::Event(Event::Settings(self.settings));
        }
        let length = header.fixed_length();
        let Some(bytes) = self.fixed.gather(length, chunk) else {
            return Step::NeedMore;
        };
        frame.left = frame.left.saturating_sub(length);
        self.state = State::Rest(frame);
        match header.kind {
            kind::SETTINGS => {
                self.settings.set(&bytes);
                self.state = State::Fixed(frame);
                Step::Continue
            }
            kind::RST_STREAM => Step::Event(Event::Reset {
                stream: header.stream,
                code: word(&bytes, 0),
            }),
            kind::GOAWAY => Step::Event(Event::GoAway {
                last_stream: word(&bytes, 0) & 0x7fff_ffff,
                code: word(&bytes, 4),
            }),
            _ => self.read_body_fields(frame, &bytes),
        }
    }

    /// Applies the pad length of a frame with content or a fragment, and the stream that is promised.
    fn read_body_fields<'c>(&mut self, mut frame: Frame, bytes: &[u8; 9]) -> Step<'c> {
        let padded = frame.header.has(flag::PADDED);
        if padded {
            frame.padding = bytes.first().copied().unwrap_or_default().into();
        }
        if frame.padding > frame.left {
            return self.reject(frame.position, ErrorCode::Protocol);
        }
        if frame.header.kind == kind::PUSH_PROMISE {
            let promised = word(bytes, usize::from(padded)) & 0x7fff_ffff;
            if !is_promised(promised) {
                return self.reject(frame.position, ErrorCode::Protocol);
            }
            self.assembly.promise(promised);
        }
        self.state = State::Body(frame);
        Step::Continue
    }

    pub(super) fn read_content<'c>(&mut self, mut frame: Frame, chunk: &mut Chunk<'c>) -> Step<'c> {
        let wanted = frame.left.saturating_sub(frame.padding);
        let (_, count) = take(chunk, wanted);
        frame.left -= count;
        self.state = if count == wanted {
            State::Rest(frame)
        } else {
            State::Body(frame)
        };
        match (count, wanted) {
            (0, 0) => Step::Continue,
            (0, _) => Step::NeedMore,
            _ => Step::Event(Event::Content {
                stream: frame.header.stream,
                bytes: count.into(),
            }),
        }
    }

    pub(super) fn read_fragment<'c>(&mut self, mut frame: Frame, chunk: &mut Chunk<'c>) -> Step<'c> {
        let wanted = frame.left.saturating_sub(frame.padding);
        let at = chunk.at;
        let (part, count) = take(chunk, wanted);
        frame.left -= count;
        let complete = count == wanted;
        let ends = complete && frame.header.has(flag::END_HEADERS);
        self.state = if complete {
            State::Rest(frame)
        } else {
            State::Body(frame)
        };
        let step = self.assembly.append(part, at, ends);
        if let Step::Event(Event::Block(block)) | Step::HeldBlock(block) = &step
            && !block.whole
        {
            // The rest of this frame is skipped, as are the other frames of the block.
            self.counters.blocks_cut += 1;
            self.assembly.skip_rest(&frame.header);
            self.state = State::Rest(frame);
        }
        if !complete && matches!(step, Step::Continue) {
            return Step::NeedMore;
        }
        step
    }

    pub(super) fn read_rest<'c>(&mut self, mut frame: Frame, chunk: &mut Chunk<'c>) -> Step<'c> {
        let (_, count) = take(chunk, frame.left);
        frame.left -= count;
        if frame.left > 0 {
            self.state = State::Rest(frame);
            return Step::NeedMore;
        }
        self.state = State::Header;
        if frame.header.kind == kind::DATA && frame.header.has(flag::END_STREAM) {
            let stream = frame.header.stream;
            return Step::Event(Event::EndStream { stream });
        }
        Step::Continue
    }
}

/// Takes up to `count` bytes off a chunk, and returns them with their number.
fn take<'c>(chunk: &mut Chunk<'c>, count: u32) -> (&'c [u8], u32) {
    let bytes: &'c [u8] = chunk.bytes;
    let part = bytes.get(..count as usize).unwrap_or(bytes);
    chunk.advance(part.len());
    (part, u32::try_from(part.len()).unwrap_or(count))
}
