//! One direction's frames, read in step from bytes that arrive in any split.
//!
//! In: chunks in order, and holes. Out: [`Event`]s, and what each hole took. Refuses what leaves unknown where the next
//! frame begins or whose it is; a wrong value inside a frame is passed over, as many gateways do. Content is counted and
//! not kept; of a header block at most the limit is held, and only while it lies in more than one piece.

mod block;
mod event;
mod fixed;
mod hole;
mod payload;

use super::{ErrorCode, Header, flag, kind};
use crate::chunk::Mark;
use crate::{Chunk, Timestamp};
use block::{Assembly, Open};
pub(crate) use event::{Block, Counters, Event, Settings};
use fixed::Fixed;
pub(crate) use hole::{Lost, Skipped};

/// What a client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Its first nine bytes, read as a frame's: one of an unassigned kind, longer than any that is sent.
const PREFACE_AS_HEADER: Header = Header::parse(b"PRI * HTT");
/// The largest length that a header can announce.
const MAX_LENGTH: u32 = 0xff_ffff;

/// Reads one direction in step with its frames.
#[derive(Debug)]
pub(crate) struct Reader {
    state: State,
    fixed: Fixed,
    /// Where the frame in progress began.
    mark: Mark,
    assembly: Assembly,
    settings: Settings,
    max_frame_size: u32,
    /// Whether the header of a frame was read.
    within: bool,
    counters: Counters,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The preface: so many of its bytes are behind.
    Preface(usize),
    /// A frame header.
    Header,
    /// Fixed fields at the beginning of a payload, or an entry of SETTINGS.
    Fixed(Frame),
    /// Content, or a fragment of a header block.
    Body(Frame),
    /// Nothing of interest, to the end of the frame.
    Rest(Frame),
    /// Nobody knows.
    OutOfStep,
}

/// A frame in progress.
#[derive(Clone, Copy, Debug)]
struct Frame {
    header: Header,
    /// Position of its first byte.
    position: u64,
    /// Bytes of payload to come, those of fixed fields that are not complete included.
    left: u32,
    /// Of these, the padding at the end.
    padding: u32,
}

/// What came of a step.
enum Step<'c> {
    /// There may be more to read.
    On,
    /// The chunk is used up.
    More,
    /// An event that does not need the reader's memory.
    Event(Event<'c>),
    /// A header block whose bytes the reader holds.
    Held(Block<'c>),
}

impl Reader {
    /// Begins where a frame header is next.
    ///
    /// Should the first frame be CONTINUATION, then its block began before: it comes out as not whole and without bytes.
    pub(crate) fn new(max_block_bytes: usize) -> Self {
        Self {
            state: State::Header,
            fixed: Fixed::default(),
            mark: Mark {
                position: 0,
                at: Timestamp(0),
                origin: 0,
            },
            assembly: Assembly::new(max_block_bytes, true),
            settings: Settings::default(),
            max_frame_size: MAX_LENGTH,
            within: false,
            counters: Counters::default(),
        }
    }

    /// Begins where the client's connection preface is next.
    pub(crate) fn at_preface(max_block_bytes: usize) -> Self {
        Self {
            state: State::Preface(0),
            assembly: Assembly::new(max_block_bytes, false),
            ..Self::new(max_block_bytes)
        }
    }

    /// Sets what the other side's `SETTINGS_MAX_FRAME_SIZE` allows. Larger frames are counted and read all the same:
    /// when a new limit takes effect cannot be seen, and a frame refused for nothing would cost the connection.
    pub(crate) fn set_max_frame_size(&mut self, bytes: u32) {
        self.max_frame_size = bytes;
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.assembly.held_bytes()
    }

    /// Takes what was counted since the last time.
    pub(crate) fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// Reads on, to the next event; to be called until it gives `None`, and then the chunk is used up.
    ///
    /// Only [`Event::Malformed`] leaves unread bytes behind for good: a reader that is out of step discards what it is
    /// given.
    pub(crate) fn read<'s, 'c: 's>(&'s mut self, chunk: &mut Chunk<'c>) -> Option<Event<'s>> {
        self.assembly.forget();
        loop {
            let step: Step<'c> = self.step(chunk);
            match step {
                Step::On => {}
                Step::More => return None,
                Step::Event(event) => return Some(event),
                Step::Held(block) => return Some(Event::Block(self.assembly.fill(block))),
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
            State::Preface(behind) => self.read_preface(behind, chunk),
            State::OutOfStep => {
                chunk.discard();
                Step::More
            }
        }
    }

    fn read_preface<'c>(&mut self, behind: usize, chunk: &mut Chunk<'c>) -> Step<'c> {
        let expected = PREFACE.get(behind..).unwrap_or_default();
        if expected.is_empty() {
            self.state = State::Header;
            let position = self.mark.position;
            return Step::Event(if self.within {
                Event::SecondPreface { position }
            } else {
                Event::Preface
            });
        }
        let pairs = expected.iter().zip(chunk.bytes);
        let count = pairs.take_while(|(expected, byte)| expected == byte).count();
        chunk.advance(count);
        self.state = State::Preface(behind + count);
        if count == expected.len() {
            Step::On
        } else if chunk.bytes.is_empty() {
            Step::More
        } else {
            self.refuse(chunk.position, ErrorCode::Protocol)
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
            return Step::More;
        };
        let (header, mark) = (Header::parse(&bytes), self.mark);
        if header == PREFACE_AS_HEADER && !self.assembly.is_open() {
            self.state = State::Preface(bytes.len());
            return Step::On;
        }
        self.within = true;
        let joined = self.assembly.join(&header, mark);
        match self.enter(header, mark) {
            Ok(state) => {
                self.state = state;
                joined.map_or(Step::On, |block| Step::Event(Event::Block(block)))
            }
            Err(code) => self.refuse(mark.position, code),
        }
    }

    /// Finds out what to read behind a frame header.
    fn enter(&mut self, header: Header, mark: Mark) -> Result<State, ErrorCode> {
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
                self.assembly.begin(Open::new(&header, mark));
                fields
            }
            kind::CONTINUATION if self.assembly.is_wanted() => State::Body(frame),
            kind::CONTINUATION => {
                self.assembly.pass(&header);
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

    fn refuse<'c>(&mut self, position: u64, code: ErrorCode) -> Step<'c> {
        self.state = State::OutOfStep;
        self.assembly.clear();
        Step::Event(Event::Malformed { position, code })
    }
}

#[cfg(test)]
mod tests;
