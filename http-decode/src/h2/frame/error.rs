//! Error codes of frames.

/// What is wrong with a frame: those codes of RFC 9113 section 7 that a single frame can cause.
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
