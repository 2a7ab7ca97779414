//! The registers a probe reads, per architecture.
//!
//! Reads are volatile: the verifier allows a program to read its context at constant offsets only, and a compiler that
//! may would choose between two registers by computing an address.

use core::ptr::read_volatile;

use aya_ebpf::{
    bindings::pt_regs,
    programs::{ProbeContext, RetProbeContext},
};

/// Stack pointer at the first instruction of a function, or at its first `push`: at the return address on x86-64.
#[inline(always)]
pub(crate) fn entry_sp(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { stack_pointer(ctx.regs) }
}

/// Stack pointer the function was entered with, seen from its return.
#[inline(always)]
pub(crate) fn entry_sp_at_return(ctx: &RetProbeContext) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { stack_pointer(ctx.regs) }.wrapping_sub(RETURN_ADDRESS_BYTES)
}

/// The `N`th argument of the function, from 0.
#[inline(always)]
pub(crate) fn argument<const N: usize>(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { read_volatile(argument_register::<N>(ctx.regs)) }
}

#[cfg(bpf_target_arch = "aarch64")]
const RETURN_ADDRESS_BYTES: u64 = 0;
#[cfg(not(bpf_target_arch = "aarch64"))]
const RETURN_ADDRESS_BYTES: u64 = 8;

#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
unsafe fn argument_register<const N: usize>(regs: *const pt_regs) -> *const u64 {
    // SAFETY: the caller vouches for `regs`; AAPCS64 passes the first eight in x0 to x7.
    unsafe { &raw const (*regs).regs[N] }
}

#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
unsafe fn argument_register<const N: usize>(regs: *const pt_regs) -> *const u64 {
    // SAFETY: the caller vouches for `regs`; the System V ABI passes these five in these registers.
    unsafe {
        match N {
            0 => &raw const (*regs).rdi,
            1 => &raw const (*regs).rsi,
            2 => &raw const (*regs).rdx,
            3 => &raw const (*regs).rcx,
            _ => &raw const (*regs).r8,
        }
    }
}

#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
unsafe fn stack_pointer(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).sp) }
}

#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
unsafe fn stack_pointer(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).rsp) }
}
