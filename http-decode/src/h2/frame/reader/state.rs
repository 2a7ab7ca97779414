//! Where the reader is within a frame, and what a step of reading returns.

use super::event::{Block, Event};
use crate::h2::frame::Header;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The client preface, of which this number of bytes has been read.
    Preface(usize),
    /// A frame header.
    Header,
    /// Fixed fields at the beginning of a payload, or an entry of SETTINGS.
    Fixed(Frame),
    /// Content, or a fragment of a header block.
    Body(Frame),
    /// The rest of a frame, which is skipped.
    Rest(Frame),
    /// Unknown: the reader is out of sync.
    OutOfSync,
}

/// A frame in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    /// Position of its first byte.
    pub(super) position: u64,
    /// Bytes of payload that have not arrived, and those of fixed fields that are not complete.
    pub(super) left: u32,
    /// The padding among them, at the end.
    pub(super) padding: u32,
}

/// The result of a step.
pub(super) enum Step<'c> {
    /// Nothing yet: another step follows.
    Continue,
    /// The chunk is used up.
    NeedMore,
    /// An event that does not need the reader's memory.
    Event(Event<'c>),
    /// A header block whose bytes the reader holds.
    HeldBlock(Block<'c>),
}
