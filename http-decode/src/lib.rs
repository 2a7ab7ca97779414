//! Passive HTTP decoding: captured bytes with positions in, exchanges out.
//!
//! A [`Connection`] takes [`Chunk`]s of both directions, in any order, and [`Gap`]s, and emits [`Output`]s. It does no I/O and
//! reads no clock, its memory is bounded by [`MAX_CONNECTION_BYTES`], and nothing is joined across a gap. It may be joined
//! at any time.
//!
//! | stage | module | its output |
//! | --- | --- | --- |
//! | put each direction in order | `reassembly` | chunks and gaps |
//! | find the protocol, and where messages or frames begin | `detect`, `boundary` | a `Verdict` |
//! | decode messages or frames, and pair requests with responses | `h1`, `h2` | exchanges |
//! | collect an exchange until its response has ended | `progress` | [`Exchange`], [`End`] |
//! | queue outputs until they are polled | `queue` | [`Output`] |
//!
//! `connection` drives the stages.
#![forbid(unsafe_code)]

mod named;
mod limits;
mod counters;
mod unredacted;
mod fields;
mod head;
mod direction;
mod timestamp;
mod chunk;
mod gap;
mod server_events;
mod exchange;
mod active;
mod output;
mod moment;
mod reassembly;
mod grammar;
mod detect;
mod proxy;
mod h1;
pub mod h2;
mod boundary;
mod context;
mod progress;
mod queue;
mod connection;
#[doc(hidden)]
pub mod fuzz;

pub use active::ActiveRequest;
pub use chunk::Chunk;
pub use connection::Connection;
pub use counters::Counters;
pub use direction::{Direction, Side};
pub use exchange::{End, Ended, Exchange, Protocol, Request, Response};
pub use fields::{Field, Fields, Iter, RawField};
pub use gap::{Gap, GapCause, STRETCH};
pub use head::{Malformed, NeverIndexed, RequestHead, ResponseHead};
pub use limits::{Limits, MAX_CONNECTION_BYTES, MAX_MOMENTS, Settings};
pub use moment::{Moment, MomentPart};
pub use output::{Output, Reason};
pub use proxy::Proxied;
pub use server_events::ServerEvents;
pub use timestamp::Timestamp;
pub use unredacted::{Owned, Unredacted};
