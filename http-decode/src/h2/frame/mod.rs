//! Frames (RFC 9113 sections 4 and 6).
//!
//! `reader` reads the frames of one direction from chunks and gaps, and reports events. `payload` parses one whole frame for
//! inspection. Neither allocates by a length that was only announced.

mod error;
mod header;
mod payload;
mod reader;
pub(crate) mod fuzz;

pub use error::ErrorCode;
pub use header::{Header, flag, kind};
pub use payload::{Payload, Priority, parse};
pub(crate) use reader::{Block, Counters, Event, GapEffect, Lost, Reader, Settings};
