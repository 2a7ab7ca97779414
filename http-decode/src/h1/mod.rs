//! HTTP/1.0 and HTTP/1.1 (RFC 9112).
//!
//! `decoder` reads one direction. `section` finds the end of a head, `head` parses it, `body` frames what follows it, and
//! `resync` finds the next start line after a loss. `session` joins both directions, and `pair` finds the request that a
//! response answers.

pub(crate) mod method;
pub(crate) mod start_line;
mod section;
mod head;
mod body;
mod body_or_head;
mod resync;
mod decoder;
mod pair;
pub(crate) mod session;
