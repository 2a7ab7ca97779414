//! Frames (RFC 9113 sections 4 and 6) of one direction.
//!
//! In: contiguous bytes, in any split, and holes; or one whole frame. Out: `Event`s in the order of the frames, or the
//! [`Payload`] of the one frame. Refuses to look for the next frame behind bytes that are none, to hold more of a header
//! block than it is told, and to allocate by a length that was only announced.

mod header;
mod payload;
mod reader;
pub(crate) mod fuzz;

pub use header::{Header, flag, kind};
pub use payload::{Payload, Priority, parse};
pub(crate) use reader::{Block, Counters, Event, Lost, Reader, Settings, Skipped};

/// What is wrong with a frame (RFC 9113 section 7): of its codes, those that a single frame can call for.
#[repr(u32)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorCode {
    /// `PROTOCOL_ERROR`.
    Protocol = 1,
    /// `FLOW_CONTROL_ERROR`: an initial window over 2^31-1.
    FlowControl = 3,
    /// `FRAME_SIZE_ERROR`.
    FrameSize = 6,
}
