//! A header block, put together from its frames (RFC 9113 section 4.3).
//!
//! In: HEADERS or `PUSH_PROMISE`, CONTINUATION, and their fragments. Out: one [`Block`]. Refuses frames that come between
//! those of a block, and to hold more than the limit or more than twice what came.

use super::Step;
use super::event::{Block, Event};
use crate::Timestamp;
use crate::chunk::Mark;
use crate::h2::frame::{ErrorCode, Header, flag, kind};

/// What is kept of the memory of a block that was handed out: enough for the next one of usual size.
pub(super) const KEPT: usize = 4096;

/// The block in progress, and its bytes if they came in more than one piece.
#[derive(Debug)]
pub(super) struct Assembly {
    open: Option<Open>,
    bytes: Vec<u8>,
    /// Whether the bytes were handed out, and nobody needs them any more.
    spent: bool,
    max_bytes: usize,
    /// Whether no frame was read yet, so that a block may have begun before.
    joins_late: bool,
}

impl Assembly {
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

    /// Lets go of bytes that were handed out.
    pub(super) fn forget(&mut self) {
        if self.spent {
            self.spent = false;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
    }

    /// Lets go of everything.
    pub(super) fn clear(&mut self) {
        self.open = None;
        self.bytes = Vec::new();
    }

    /// Notes that nothing more of the block in progress can come.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Opens the block of a CONTINUATION that is the first frame of all, and gives what is known of it.
    pub(super) fn join(&mut self, header: &Header, mark: Mark) -> Option<Block<'static>> {
        let joins = std::mem::take(&mut self.joins_late) && header.kind == kind::CONTINUATION;
        joins.then(|| {
            let open = Open {
                wanted: false,
                ..Open::new(header, mark)
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

    /// Checks that a block is followed by its own CONTINUATION, and nothing else is (RFC 9113 section 6.10).
    pub(super) fn check_order(&self, header: &Header) -> Result<(), ErrorCode> {
        let continues = header.kind == kind::CONTINUATION;
        let in_order = self
            .open
            .map_or(!continues, |open| continues && open.stream == header.stream);
        if in_order { Ok(()) } else { Err(ErrorCode::Protocol) }
    }

    pub(super) fn begin(&mut self, open: Open) {
        self.open = Some(open);
    }

    pub(super) fn promise(&mut self, stream: u32) {
        if let Some(open) = &mut self.open {
            open.promised = Some(stream);
        }
    }

    /// Returns whether the block in progress has not been handed out.
    pub(super) fn is_wanted(&self) -> bool {
        self.open.is_some_and(|open| open.wanted)
    }

    /// Notes that the rest of the block is not wanted, and that it ends here if this frame says so.
    pub(super) fn pass(&mut self, header: &Header) {
        self.open = self.open.take().filter(|_| !header.has(flag::END_HEADERS));
        if let Some(open) = &mut self.open {
            open.wanted = false;
        }
    }

    /// Takes in part of a fragment, and gives out the block if it ends here or is over the limit.
    pub(super) fn append<'c>(&mut self, part: &'c [u8], at: Timestamp, ends: bool) -> Step<'c> {
        let Some(mut open) = self.open else { return Step::On };
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
            return Step::On;
        }
        self.spent = true;
        Step::Held(open.block(&[], whole))
    }

    /// Gives up the block in progress, unless it was handed out.
    pub(super) fn lose(&mut self) -> Option<Block<'static>> {
        let open = self.open.filter(|open| open.wanted)?;
        self.spent = true;
        Some(open.block(&[], false))
    }

    /// Gives a block its bytes.
    pub(super) fn fill<'a>(&'a self, block: Block<'_>) -> Block<'a> {
        Block {
            bytes: &self.bytes,
            ..block
        }
    }

    /// Doubles as it grows, but never beyond the limit.
    fn hold(&mut self, part: &[u8]) {
        let wanted = self.bytes.len().saturating_add(part.len());
        if wanted > self.bytes.capacity() {
            let capacity = wanted.max(self.bytes.capacity() * 2).min(self.max_bytes);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(part);
    }
}

/// A block whose last frame has not come, or not in full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    stream: u32,
    promised: Option<u32>,
    end_stream: bool,
    mark: Mark,
    /// When the last chunk of it came.
    at: Timestamp,
    /// Whether what follows is still wanted: the block has not been handed out.
    wanted: bool,
}

impl Open {
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
