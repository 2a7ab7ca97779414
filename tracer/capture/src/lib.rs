//! From a selection of processes to batches of records.
//!
//! The modules stand in the order of the data's way. Each stage has one named input and one named output:
//!
//! | stage | out | lives in | its "no" | its failure |
//! | --- | --- | --- | --- | --- |
//! | discover processes and the files they map, arrivals, exits | [`target::Target`], [`target::Life`] | [`target`] | not selected | `Error` |
//! | resolve: ELF to probe sites and struct offsets | `symbolizer::ProbePlan` | [`resolve`], `symbolizer` | `Reason` | not a usable ELF |
//! | attach, also later; enable last; detach on drop | [`attach::Probes`], [`attach::Rings`] | [`attach`] | kernel lacks X: `Reason` | `Error` with the verifier's log |
//! | capture in the kernel | ABI records | `tracer-ebpf` | filtered in the kernel | a counter per site and cause |
//! | receive: drain the rings | `tracer_observe::batch::Batch` | [`rings`] | | `Error` |
//!
//! A [`session::Capture`] is all of it at work: `follow` keeps the first three going while the processes live, in a thread
//! of its own. What the user should read goes to a function that the caller gives ([`message::Messages`]).

pub mod limits;
pub mod message;
pub mod clock;
mod thread;
pub mod target;
pub mod sizes;
pub mod resolve;
pub mod attach;
mod losses;
mod cpus;
pub mod rings;
mod lives;
mod follow;
mod descriptor_lookup;
mod following;
pub mod session;
