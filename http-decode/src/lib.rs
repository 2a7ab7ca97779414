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
mod exchange;
mod both;
mod stream;
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

pub use connection::Connection;
pub use exchange::{
    Direction, End, Ended, Exchange, Gap, GapCause, Output, Protocol, Reason, Request, Response, STRETCH, Side,
    Timestamp,
};
pub use fields::{Field, Fields, Iter};
pub use head::{Malformed, NeverIndexed, RequestHead, ResponseHead};
pub use limits::{Counters, Limits, MAX_CONNECTION_BYTES, Settings};
pub use proxy::Proxied;
pub use stream::Chunk;
pub use unredacted::Unredacted;
