//! Captures records of TLS connections from a running kernel.
//!
//! The modules are listed in the order in which data passes them:
//!
//! | stage | result | module | negative result | error |
//! | --- | --- | --- | --- | --- |
//! | find processes and the files they map; fork, exec, mmap and exit events | [`target::Target`], [`target::ProcessEvent`] | [`target`] | not selected | `Error` |
//! | resolve: ELF to probe sites and struct offsets | `symbolizer::ProbePlan` | [`resolve`], `symbolizer` | `Reason` | not a usable ELF |
//! | attach, also later; enable last; detach on drop | [`attach::Probes`], [`attach::Rings`] | [`attach`] | kernel lacks X: `Reason` | `Error` with the verifier's log |
//! | capture in the kernel | ABI records | `tracer-ebpf` | filtered in the kernel | a counter per site and cause |
//! | receive: drain the rings | `tracer_observe::batch::Batch` | [`rings`] | | `Error` |
//!
//! A [`session::Capture`] runs all of them; `follow` repeats the first three in a thread for as long as the processes
//! live. Messages for the user go to a function of the caller ([`message::Messages`]).

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
mod event_queue;
mod follow;
mod descriptor_lookup;
mod follower_handle;
pub mod session;
pub mod doctor;
