//! HTTP/2 (RFC 9113), read from both directions of a connection that may have been joined late.
//!
//! `frame` reads the frames of one direction, `hpack` decodes its header blocks, `section` sorts their fields, `streams`
//! collects the exchanges, and `session` joins both directions. `chain` decides whether bytes are frames where the
//! connection's beginning was not seen. What only an unseen part of the connection would show stays unknown.

pub mod frame;
pub mod hpack;
mod section;
mod streams;
pub(crate) mod chain;
pub(crate) mod session;

/// The client connection preface (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
