//! Turns batches of captured records into redacted lines of output.
//!
//! The modules are listed in the order of the data. Each stage has one named input and one named output:
//!
//! | stage | out | lives in | its "no" | its failure |
//! | --- | --- | --- | --- | --- |
//! | receive: a batch from the rings or a tape | [`batch::Batch`] | [`batch`], [`tape`] | | [`tape::Error`] |
//! | parse a record | [`event::Event`] | [`event`] | unknown kind: counted | cut short: counted |
//! | sort records by time | records | [`order`] | | too late: counted |
//! | reassemble, decode, pair | `http_decode::Output` | `http-decode` | not HTTP, joined late | malformed: resync |
//! | correlate: process, peer, addresses | [`correlate::Observed`] | [`correlate`] | unknown peer, with the reason | |
//! | join: downstream with upstream, with `--hops` | [`join::Joined`] | [`join`] | ambiguous, with the candidates | too many: counted |
//! | redact: the only gate | [`redact::Redacted`] | [`redact`] | value masked | |
//! | policy, with `--policy` | alerts | [`policy`] | unknown: matches nothing | a mistake in a rule, with its place |
//! | filter, output | lines | [`filter`], [`output`] | broken pipe: done | [`output::Error`] |
//! | count, instead of writing lines | statistics, a live table | [`stat`], [`top`] | | |
//! | export, beside the output | what other systems take | the crate `tracer-export` | dropped: counted | |
//!
//! [`pipeline`] composes them. Nothing here knows BPF, ELF or `/proc`, and nothing reads a clock, so that replaying a tape
//! gives the same lines, byte for byte, on any machine.

pub mod limits;
pub mod health;
pub mod batch;
pub mod audit;
pub mod tape;
pub mod event;
pub mod skip;
pub mod order;
pub mod correlate;
pub mod ids;
pub mod join;
pub mod redact;
pub mod filter;
pub mod policy;
pub mod output;
pub mod stat;
pub mod top;
pub mod pipeline;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
