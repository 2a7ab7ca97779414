//! HTTP/2 (RFC 9113), read from both directions of a connection that may have been joined late.
//!
//! In: contiguous bytes and holes. Out: what became of the streams. Refuses to guess: what an unseen part of the
//! connection would have told stays unknown.

pub mod frame;
pub mod hpack;
