//! Assembly of a header block from its frames (RFC 9113 section 4.3).
//!
//! A block that is in one piece is not copied. Memory for the others is bounded by the limit, and by twice the bytes that
//! arrived.

use super::event::{Block, Event};
use super::state::Step;
use crate::Timestamp;
use crate::chunk::Mark;
use crate::h2::frame::{ErrorCode, Header, flag, kind};

/// Memory that is kept when a block was handed out: enough for the next block of usual size.
pub(super) const KEPT: usize = 4096;

/// The block in progress, and its bytes if they are in more than one piece.
#[derive(Debug)]
pub(super) struct BlockAssembly {
    open: Option<OpenBlock>,
    bytes: Vec<u8>,
    /// Whether the bytes were handed out and are not needed any more.
    spent: bool,
    max_bytes: usize,
    /// Whether no frame was read yet, so that a block may have begun earlier.
    joins_late: bool,
}

impl BlockAssembly {
    pub(super) fn new(max_bytes: usize, joins_late: bool) -> Self {
        Self {
            open: None,
            bytes: Vec::new(),
            spent: false,
            max_bytes,
            joins_late,
        }
    }

    /// Returns the memory in use, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Drops bytes that were handed out.
    pub(super) fn release(&mut self) {
        if self.spent {
            self.spent = false;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.open = None;
        self.bytes = Vec::new();
    }

    /// Closes the block in progress: its other frames are lost.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Opens the block of a CONTINUATION that is the first frame, and returns it without its unknown beginning.
    pub(super) fn open_headless(&mut self, header: &Header, mark: Mark) -> Option<Block<'static>> {
        let is_headless = std::mem::take(&mut self.joins_late) && header.kind == kind::CONTINUATION;
        is_headless.then(|| {
            let open = OpenBlock {
                wanted: false,
                ..OpenBlock::new(header, mark)
            };
            self.open = Some(open);
            Block {
                headless: true,
                ..open.block(&[], false)
            }
        })
    }

    /// Returns whether a block has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Checks that CONTINUATION, and nothing else, follows the frames of an open block (RFC 9113 section 6.10).
    pub(super) fn check_order(&self, header: &Header) -> Result<(), ErrorCode> {
        let continues = header.kind == kind::CONTINUATION;
        let in_order = self
            .open
            .map_or(!continues, |open| continues && open.stream == header.stream);
        if in_order { Ok(()) } else { Err(ErrorCode::Protocol) }
    }

    pub(super) fn begin(&mut self, open: OpenBlock) {
        self.open = Some(open);
    }

    pub(super) fn promise(&mut self, stream: u32) {
        if let Some(open) = &mut self.open {
            open.promised = Some(stream);
        }
    }

    /// Returns whether more fragments of the block in progress are needed.
    pub(super) fn wants_more(&self) -> bool {
        self.open.is_some_and(|open| open.wanted)
    }

    /// Skips the rest of the block, which ends with this frame if it has `END_HEADERS`.
    pub(super) fn skip_rest(&mut self, header: &Header) {
        self.open = self.open.take().filter(|_| !header.has(flag::END_HEADERS));
        if let Some(open) = &mut self.open {
            open.wanted = false;
        }
    }

    /// Adds a part of a fragment, and returns the block if it ends here or exceeds the limit.
    pub(super) fn append<'c>(&mut self, part: &'c [u8], at: Timestamp, ends: bool) -> Step<'c> {
        let Some(mut open) = self.open else {
            return Step::Continue;
        };
        open.at = at;
        self.open = Some(open).filter(|_| !ends);
        let room = self.max_bytes.saturating_sub(self.bytes.len());
        let whole = part.len() <= room;
        let part = part.get(..room).unwrap_or(part);
        if self.bytes.is_empty() && (ends || !whole) {
            return Step::Event(Event::Block(open.block(part, whole)));
        }
        self.hold(part);
        if whole && !ends {
            return Step::Continue;
        }
        self.spent = true;
        Step::HeldBlock(open.block(&[], whole))
    }

    /// Returns the bytes so far of the block in progress, of which others are lost, unless it was handed out.
    pub(super) fn lose(&mut self) -> Option<Block<'static>> {
        let open = self.open.filter(|open| open.wanted)?;
        self.spent = true;
        Some(open.block(&[], false))
    }

    /// Adds the held bytes to a block.
    pub(super) fn fill<'a>(&'a self, block: Block<'_>) -> Block<'a> {
        Block {
            bytes: &self.bytes,
            ..block
        }
    }

    /// Holds bytes. The capacity doubles as it grows, up to the limit.
    fn hold(&mut self, part: &[u8]) {
        let wanted = self.bytes.len().saturating_add(part.len());
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(self.bytes.capacity() * 2).min(self.max_bytes);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(part);
    }
}

/// A block whose last frame is not complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenBlock {
    stream: u32,
    promised: Option<u32>,
    end_stream: bool,
    mark: Mark,
    /// When its last chunk came.
    at: Timestamp,
    /// Whether more fragments are needed: the block has not been handed out.
    wanted: bool,
}

impl OpenBlock {
    pub(super) fn new(header: &Header, mark: Mark) -> Self {
        Self {
            stream: header.stream,
            promised: None,
            end_stream: header.kind == kind::HEADERS && header.has(flag::END_STREAM),
            mark,
            at: mark.at,
            wanted: true,
        }
    }

    fn block<'a>(&self, bytes: &'a [u8], whole: bool) -> Block<'a> {
        Block {
            stream: self.stream,
            promised: self.promised,
            end_stream: self.end_stream,
            headless: false,
            bytes,
            whole,
            mark: self.mark,
            at: self.at,
        }
    }
}
