//! The BPF programs: registers and user memory in, records in the per-CPU rings out.
//!
//! They copy and count, and hold no policy. Frames stay under 64 bytes and there is no per-CPU scratch memory, because
//! since Linux 6.0 a probe of another task may run on the same CPU in between. Nothing is ever written to a traced
//! process. What cannot be captured is counted per site and cause, and positions advance all the same.
//!
//! The modules are listed bottom up; none uses one above it. A probe goes from `entry` through `calls`, `hits` or
//! `plain`, `connection` and `capture` to `record`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod maps;
mod memory;
mod task;
mod record;
mod target;
mod beginning;
mod registers;
mod operands;
mod goroutine;
mod flow;
mod early_data;
mod passed;
mod skip;
mod capture;
mod identity;
mod syscall;
mod handshake;
mod hooks;
mod lift;
mod transport;
mod lifecycle;
mod connection;
mod calls;
mod hits;
mod plain;
mod entry;

/// Required by helpers that are GPL-only: `bpf_probe_read_user`, `bpf_ktime_get_ns` and others.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // INVARIANT: the verifier rejects programs that could get here.
    loop {}
}
