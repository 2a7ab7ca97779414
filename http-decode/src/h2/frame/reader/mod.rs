//! Reading the frames of one direction, in sync with their boundaries.
//!
//! Chunks may split frames anywhere. An error that leaves it unknown where the next frame begins, or to which stream it
//! belongs, puts the reader out of sync; a wrong value inside a frame is ignored, as many gateways do. Content is counted
//! and not kept. A header block is copied only if it is in more than one piece, up to the limit.

mod block;
mod event;
mod fixed;
mod gap;
mod lost;
mod payload;
mod state;

use self::block::{BlockAssembly, OpenBlock};
pub(crate) use self::event::{Block, Counters, Event, Settings};
use self::fixed::FixedFields;
pub(crate) use self::lost::{GapEffect, Lost};
use self::state::{Frame, State, Step};
use super::{ErrorCode, Header, flag, kind};
use crate::chunk::Mark;
use crate::h2::PREFACE;
use crate::{Chunk, Timestamp};

/// The first nine bytes of the preface, parsed as a frame header: of an unassigned type, and longer than any frame in use.
const PREFACE_AS_HEADER: Header = Header::parse(b"PRI * HTT");
/// The largest length that a header can have.
const MAX_LENGTH: u32 = 0xff_ffff;

/// The reader of one direction.
#[derive(Debug)]
pub(crate) struct Reader {
    state: State,
    fixed: FixedFields,
    /// Where the frame in progress began.
    mark: Mark,
    assembly: BlockAssembly,
    settings: Settings,
    max_frame_size: u32,
    /// Whether a frame header was read.
    frame_seen: bool,
    counters: Counters,
}

impl Reader {
    /// Begins at a frame header.
    ///
    /// If the first frame is CONTINUATION, its block began earlier, and is reported as headless and without bytes.
    pub(crate) fn new(max_block_bytes: usize) -> Self {
        Self {
            state: State::Header,
            fixed: FixedFields::default(),
            mark: Mark {
                position: 0,
                at: Timestamp(0),
                origin: 0,
            },
            assembly: BlockAssembly::new(max_block_bytes, true),
            settings: Settings::default(),
            max_frame_size: MAX_LENGTH,
            frame_seen: false,
            counters: Counters::default(),
        }
    }

    /// Begins at the client preface.
    pub(crate) fn at_preface(max_block_bytes: usize) -> Self {
        Self {
            state: State::Preface(0),
            assembly: BlockAssembly::new(max_block_bytes, false),
            ..Self::new(max_block_bytes)
        }
    }

    /// Sets the `SETTINGS_MAX_FRAME_SIZE` of the other side. Larger frames are counted and read all the same: a tap cannot see
    /// when a new limit takes effect, and a frame rejected in error would lose the connection.
    pub(crate) fn set_max_frame_size(&mut self, bytes: u32) {
        self.max_frame_size = bytes;
    }

    /// Returns how many bytes of content follow, up to the padding or the next frame; `None` if the next byte is not content.
    pub(crate) fn content_left(&self) -> Option<u64> {
        match self.state {
            State::Body(frame) if frame.header.kind == kind::DATA => {
                Some(frame.left.saturating_sub(frame.padding).into())
            }
            State::Body(_)
            | State::Preface(_)
            | State::Header
            | State::Fixed(_)
            | State::Rest(_)
            | State::OutOfSync => None,
        }
    }

    /// Returns when the frame in progress began; `None` at the end of a frame.
    pub(crate) fn frame_in_progress(&self) -> Option<Timestamp> {
        let within = match self.state {
            State::Header => self.fixed.have > 0,
            State::Preface(_) => true,
            State::Fixed(frame) | State::Body(frame) | State::Rest(frame) => frame.left > 0,
            State::OutOfSync => false,
        };
        within.then_some(self.mark.at)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.assembly.held_bytes()
    }

    /// Takes the counters since the last call.
    pub(crate) fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Reads up to the next event; `None` when the chunk is used up.
    ///
    /// Behind [`Event::Malformed`] the reader is out of sync: the rest of the chunk is the caller's, and later chunks are
    /// discarded.
    pub(crate) fn read<'s, 'c: 's>(&'s mut self, chunk: &mut Chunk<'c>) -> Option<Event<'s>> {
        self.assembly.release();
        loop {
            let step: Step<'c> = self.step(chunk);
            match step {
                Step::Continue => {}
                Step::NeedMore => return None,
                Step::Event(event) => return Some(event),
                Step::HeldBlock(block) => return Some(Event::Block(self.assembly.fill(block))),
            }
        }
    }

    fn step<'c>(&mut self, chunk: &mut Chunk<'c>) -> Step<'c> {
        match self.state {
            State::Header => self.read_header(chunk),
            State::Fixed(frame) => self.read_fixed(frame, chunk),
            State::Body(frame) if frame.header.kind == kind::DATA => self.read_content(frame, chunk),
            State::Body(frame) => self.read_fragment(frame, chunk),
            State::Rest(frame) => self.read_rest(frame, chunk),
            State::Preface(read) => self.read_preface(read, chunk),
            State::OutOfSync => {
                chunk.discard();
                Step::NeedMore
            }
        }
    }

    fn read_preface<'c>(&mut self, read: usize, chunk: &mut Chunk<'c>) -> Step<'c> {
        let expected = PREFACE.get(read..).unwrap_or_default();
        if expected.is_empty() {
            self.state = State::Header;
            let position = self.mark.position;
            return Step::Event(if self.frame_seen {
                Event::SecondPreface { position }
            } else {
                Event::Preface
            });
        }
        let pairs = expected.iter().zip(chunk.bytes);
        let count = pairs.take_while(|(expected, byte)| expected == byte).count();
        chunk.advance(count);
        self.state = State::Preface(read + count);
        if count == expected.len() {
            Step::Continue
        } else if chunk.bytes.is_empty() {
            Step::NeedMore
        } else {
            self.reject(chunk.position, ErrorCode::Protocol)
        }
    }

    fn read_header<'c>(&mut self, chunk: &mut Chunk<'c>) -> Step<'c> {
        if self.fixed.have == 0 {
            self.mark = Mark {
                position: chunk.position,
                at: chunk.at,
                origin: chunk.origin,
            };
        }
        let Some(bytes) = self.fixed.gather(9, chunk) else {
            return Step::NeedMore;
        };
        let (header, mark) = (Header::parse(&bytes), self.mark);
        if header == PREFACE_AS_HEADER && !self.assembly.is_open() {
            self.state = State::Preface(bytes.len());
            return Step::Continue;
        }
        self.frame_seen = true;
        let headless = self.assembly.open_headless(&header, mark);
        match self.begin_frame(header, mark) {
            Ok(state) => {
                self.state = state;
                headless.map_or(Step::Continue, |block| Step::Event(Event::Block(block)))
            }
            Err(code) => self.reject(mark.position, code),
        }
    }

    /// Checks a frame header, and returns the state behind it.
    fn begin_frame(&mut self, header: Header, mark: Mark) -> Result<State, ErrorCode> {
        let frame = Frame {
            header,
            position: mark.position,
            left: header.length,
            padding: 0,
        };
        self.assembly.check_order(&header)?;
        match header.check(MAX_LENGTH) {
            Err(code) if header.ends_stream_only(code) => return Ok(State::Rest(frame)),
            checked => checked?,
        }
        self.count(&header);
        Ok(self.begin_payload(frame, mark))
    }

    fn begin_payload(&mut self, frame: Frame, mark: Mark) -> State {
        let header = frame.header;
        let fields = if header.fixed_length() > 0 {
            State::Fixed(frame)
        } else {
            State::Body(frame)
        };
        match header.kind {
            kind::DATA => fields,
            kind::HEADERS | kind::PUSH_PROMISE => {
                self.assembly.begin(OpenBlock::new(&header, mark));
                fields
            }
            kind::CONTINUATION if self.assembly.wants_more() => State::Body(frame),
            kind::CONTINUATION => {
                self.assembly.skip_rest(&header);
                State::Rest(frame)
            }
            kind::SETTINGS => {
                self.settings = Settings::new(header.has(flag::ACK));
                State::Fixed(frame)
            }
            kind::RST_STREAM | kind::GOAWAY => State::Fixed(frame),
            _ => State::Rest(frame),
        }
    }

    fn count(&mut self, header: &Header) {
        let Counters {
            empty_data,
            empty_fragments,
            oversize_frames,
            ..
        } = &mut self.counters;
        if header.length > self.max_frame_size {
            *oversize_frames += 1;
        }
        match header.kind {
            kind::DATA if header.length == 0 && !header.has(flag::END_STREAM) => *empty_data += 1,
            kind::HEADERS | kind::CONTINUATION if header.length == 0 && !header.has(flag::END_HEADERS) => {
                *empty_fragments += 1;
            }
            _ => {}
        }
    }

    fn reject<'c>(&mut self, position: u64, code: ErrorCode) -> Step<'c> {
        self.state = State::OutOfSync;
        self.assembly.clear();
        Step::Event(Event::Malformed { position, code })
    }
}

#[cfg(test)]
mod tests;
