//! Reads of user and kernel memory: a bad address is an error, and never a fault.

use core::arch::asm;

use aya_ebpf::helpers::{
    bpf_probe_read_kernel, bpf_probe_read_user,
    generated::{
        bpf_probe_read_kernel as read_kernel_bytes, bpf_probe_read_kernel_str as read_kernel_text,
        bpf_probe_read_user as read_user_bytes,
    },
};
use tracer_ebpf::KernelOffsets;

use crate::maps::kernel_offset;

/// Reads a value of the current process.
#[inline(always)]
pub(crate) fn read_user<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Copies bytes of the current process; returns whether all of them were present.
///
/// # Safety
///
/// `into` must have room for `bytes`.
#[inline(always)]
pub(crate) unsafe fn copy_user(into: *mut u8, address: u64, bytes: u32) -> bool {
    // SAFETY: the caller vouches for the room; the helper checks the address.
    unsafe { read_user_bytes(into.cast(), bytes, address as *const _) == 0 }
}

/// Reads a value of the kernel.
#[inline(always)]
pub(crate) fn read_kernel<T>(address: usize) -> Option<T> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// Copies bytes of the kernel; returns whether all of them could be read.
///
/// # Safety
///
/// `into` must have room for `bytes`.
#[inline(always)]
pub(crate) unsafe fn copy_kernel(into: *mut u8, address: u64, bytes: u32) -> bool {
    // SAFETY: the caller vouches for the room; the helper checks the address.
    unsafe { read_kernel_bytes(into.cast(), bytes, address as *const _) == 0 }
}

/// Copies a text of the kernel with the zero that ends it, cut to the room; returns its length with that, or an error.
#[inline(always)]
pub(crate) fn copy_kernel_text<const N: usize>(into: &mut [u8; N], address: u64) -> i64 {
    // SAFETY: the array has room for so many bytes; the helper checks the address.
    unsafe { read_kernel_text(into.as_mut_ptr().cast(), N as u32, address as *const _) }
}

/// Returns the address of a field of one of the kernel's structures; `None` if its BTF does not describe it.
#[inline(always)]
pub(crate) fn field(structure: u64, pick: impl FnOnce(&KernelOffsets) -> *const u32) -> Option<u64> {
    let offset = kernel_offset(pick);
    (offset != KernelOffsets::UNKNOWN as usize).then(|| structure.wrapping_add(offset as u64))
}

/// Reads a field of one of the kernel's structures.
#[inline(always)]
pub(crate) fn read_field<T>(structure: u64, pick: impl FnOnce(&KernelOffsets) -> *const u32) -> Option<T> {
    read_kernel(field(structure, pick)? as usize)
}

/// Hides from the compiler what it knows of a value, so that it keeps the check that follows: verifiers before 6.8 or so
/// derive a bound only from a comparison with a constant, not from one with another register. It is an instruction, because
/// the kernel rejects two lines of source at one instruction.
#[inline(always)]
pub(crate) fn forgotten(mut value: u64) -> u64 {
    // SAFETY: the instruction sets a register to its own value.
    unsafe { asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// Adds to a counter that other CPUs add to as well.
///
/// # Safety
///
/// `counter` must point into a live map value.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, amount: u64) {
    // SAFETY: the caller vouches for the pointer. Rust offers this target no atomics, and a plain addition loses counts
    // to other CPUs.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) counter, in(reg) amount) };
}
