//! Reads of memory that may not be there: an address that cannot be read gives nothing, and no fault.

use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user};

/// Reads a value of the current process.
#[inline(always)]
pub(crate) fn read_user<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address; a bad one is an error, not a fault.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Reads a value of the kernel.
#[inline(always)]
pub(crate) fn read_kernel<T>(address: usize) -> Option<T> {
    // SAFETY: the helper checks the address; a bad one is an error, not a fault.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}
