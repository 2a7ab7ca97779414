//! Passive HTTP decoding: bytes with positions in, exchanges out.
#![forbid(unsafe_code)]

mod unredacted;
mod head;
mod exchange;

pub use exchange::{
    Direction, End, Ended, Exchange, Gap, GapCause, Output, Protocol, Reason, Request, Response, Side, Timestamp,
};
pub use head::{Field, RequestHead, ResponseHead};
pub use unredacted::Unredacted;
