//! From batches of records to redacted lines. The same tape gives the same lines, byte for byte, on any machine.
//!
//! The modules stand in the order of the data's way. Each stage has one named input and one named output:
//!
//! | stage | out | lives in | its "no" | its failure |
//! | --- | --- | --- | --- | --- |
//! | receive: what the rings or a tape gave | [`batch::Batch`] | [`batch`], [`tape`] | | [`tape::Error`] |
//! | type the bytes | [`event::Event`] | [`event`] | unknown kind: counted | cut short: counted |
//! | put records in the order they were made | records | [`order`] | | too late: counted |
//! | reassemble, decode, pair | `http_decode::Output` | `http-decode` | not HTTP, joined late | malformed: resynchronise |
//! | correlate: process, peer, request id | [`correlate::Observed`] | [`correlate`] | unknown peer, said so | |
//! | redact: the only gate | [`redact::Redacted`] | [`redact`] | value masked | |
//! | filter, output | lines | [`filter`], [`output`] | broken pipe: done | [`output::Error`] |
//!
//! [`pipeline`] joins them into one function from batches to lines. Nothing here knows BPF, ELF or `/proc`, and nothing
//! reads a clock: what could not be replayed from a tape has no place in this package.

pub mod limits;
pub mod health;
pub mod batch;
pub mod tape;
pub mod event;
pub mod order;
pub mod correlate;
pub mod redact;
pub mod filter;
pub mod output;
pub mod pipeline;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
