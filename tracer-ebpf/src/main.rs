//! The BPF programs: registers and user memory in, records in the per-CPU rings out.
//!
//! They copy and count, and hold no policy. Frames stay under 64 bytes and there is no per-CPU scratch memory, because
//! since Linux 6.0 a probe of another task may run on the same CPU in between. Nothing is ever written to a traced
//! process. What cannot be captured is counted per site and cause, and its position passes all the same.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod maps;
mod memory;
mod scope;
mod lifecycle;
mod registers;
mod openssl;
mod thread;
mod connection;
mod handshake;
mod socket;
mod unix;
mod ciphertext;
mod message;
mod transport;
mod passed;
mod early;
mod capture;

/// The helpers used need it: `bpf_probe_read_user`, `bpf_ktime_get_ns` and their like are GPL-only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // INVARIANT: the verifier refuses programs that could get here.
    loop {}
}
