//! HTTP/2 (RFC 9113), read from both directions of a connection that may have been joined late.
//!
//! In: contiguous bytes and holes. Out: exchanges, into the connection's context. The way through: `frame` reads a
//! direction, `hpack` decodes its header blocks, `section` sorts what they say, `streams` gathers the exchanges;
//! `dialogue` holds them together, and `chain` tells frames from other bytes where nothing else does. Refuses to guess:
//! what an unseen part of the connection would have told stays unknown.

pub mod frame;
pub mod hpack;
mod section;
mod streams;
pub(crate) mod chain;
pub(crate) mod dialogue;
