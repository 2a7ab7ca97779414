//! tlscope: the HTTP heads of a running gateway's TLS traffic, from its plaintext.
//!
//! The modules stand in the order of the data's way. Each stage has one named input and one named output:
//!
//! | stage | out | lives in | its "no" | its failure |
//! | --- | --- | --- | --- | --- |
//! | discover processes and the files they map, arrivals, exits | [`target::Target`], [`target::Life`] | [`target`] | not selected | `Error` |
//! | resolve: ELF to probe sites and struct offsets | `symbolizer::ProbePlan` | [`resolve`], `symbolizer` | `Reason` | not a usable ELF |
//! | attach, also later; enable last; detach on drop | [`attach::Probes`], [`attach::Rings`] | [`attach`] | kernel lacks X: `Reason` | `Error` with the verifier's log |
//! | capture in the kernel | ABI records | `tracer-ebpf` | filtered in the kernel | a counter per site and cause |
//! | receive: rings, or a recorded tape; put in order | [`source::Batch`] | [`source`] | | `Error` |
//! | type the bytes | [`event::Event`] | [`event`] | unknown kind: counted | cut short: counted |
//! | reassemble, decode, pair | `http_decode::Output` | `http-decode` | not HTTP, joined late | malformed: resynchronise |
//! | correlate: process, peer, request id | [`correlate::Observed`] | [`correlate`] | unknown peer, said so | |
//! | redact: the only gate | [`redact::Redacted`] | [`redact`] | value masked | |
//! | filter, output | lines | [`filter`], [`output`] | broken pipe: done | `Error` |
//!
//! [`pipeline`] joins what lies above the kernel into one function from batches to lines; [`command`] runs it.

pub mod limits;
pub mod health;
pub mod target;
pub mod resolve;
pub mod attach;
pub mod source;
pub mod event;
pub mod correlate;
pub mod redact;
pub mod filter;
pub mod output;
pub mod pipeline;
pub mod command;
