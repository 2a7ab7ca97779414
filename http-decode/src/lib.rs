//! Passive HTTP decoding: bytes with positions in, exchanges out.
//!
//! In: [`Chunk`]s of both directions of one connection, in any order, and word of what is missing. Out: [`Output`]s.
//! The way through: `stream` puts a direction in order, `detect` tells what it carries, `h1` reads heads and
//! frames bodies, `pair` finds the request of a response, `progress` gathers the exchange, `outbox` queues it.
//! Refuses to read a clock, to do I/O, to guess across a hole, and to hold more than [`MAX_CONNECTION_BYTES`].
#![forbid(unsafe_code)]

mod limits;
mod unredacted;
mod fields;
mod head;
mod direction;
mod chunk;
mod gap;
mod exchange;
mod output;
mod reassembly;
mod detect;
mod proxy;
mod h1;
pub mod h2;
mod scout;
mod context;
mod progress;
mod outbox;
mod connection;
#[doc(hidden)]
pub mod fuzz;

pub use chunk::Chunk;
pub use connection::Connection;
pub use direction::{Direction, Side};
pub use exchange::{End, Ended, Exchange, Protocol, Request, Response, Timestamp};
pub use fields::{Field, Fields, Iter};
pub use gap::{Gap, GapCause, STRETCH};
pub use head::{Malformed, NeverIndexed, RequestHead, ResponseHead};
pub use limits::{Counters, Limits, MAX_CONNECTION_BYTES, Settings};
pub use output::{Output, Reason};
pub use proxy::Proxied;
pub use unredacted::Unredacted;
