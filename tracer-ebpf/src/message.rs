//! How a message begins that a process sends.
//!
//! In: a `struct msghdr`, by the offsets from the kernel's BTF. Out: the first bytes of what it is about to send. Refuses
//! messages of the kernel's own pages, which are no ciphertext that a library of the process made, and those whose first
//! buffer holds too few bytes: a later message will do.

use tracer_ebpf::CIPHERTEXT_BYTES;

use crate::{
    maps::kernel_offset,
    memory::{copy_user, field, read_field, read_kernel},
};

const WANTED: u64 = CIPHERTEXT_BYTES as u64;
/// Buffers that are looked into at the most.
const BUFFERS: u64 = 4;
/// Bytes of a `struct iovec`: an address and a length.
const IOVEC: u64 = 16;

/// Reads the first bytes of a message; 0 when it has fewer, or they cannot be read.
#[inline(never)]
pub(crate) fn first_bytes(message: u64, into: &mut [u8; CIPHERTEXT_BYTES]) -> u32 {
    read(message, into).unwrap_or(false).into()
}

#[inline(always)]
fn read(message: u64, into: &mut [u8; CIPHERTEXT_BYTES]) -> Option<bool> {
    let iterator = field(message, |offsets| &raw const offsets.msg_iter)?;
    let kind: u8 = read_field(iterator, |offsets| &raw const offsets.iter_type)?;
    let skipped: u64 = read_field(iterator, |offsets| &raw const offsets.iter_offset)?;
    if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_ubuf) {
        let buffer: u64 = read_field(iterator, |offsets| &raw const offsets.iter_ubuf)?;
        // SAFETY: there is room for so many. What lies behind a shorter message does no harm: it matches nothing.
        return Some(unsafe { copy_user((&raw mut *into).cast(), buffer + skipped, WANTED as u32) });
    }
    if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_iovec) {
        let first: u64 = read_field(iterator, |offsets| &raw const offsets.iter_iov)?;
        let count: u64 = read_field(iterator, |offsets| &raw const offsets.iter_segments)?;
        return Some(read_buffers(into, first, count, skipped) != 0);
    }
    None
}

/// Reads from the first buffer that has anything left; 0 when that has too little.
#[inline(never)]
fn read_buffers(into: &mut [u8; CIPHERTEXT_BYTES], first: u64, count: u64, skipped: u64) -> u32 {
    let mut skipped = skipped;
    for index in 0..BUFFERS {
        let buffer = first + index * IOVEC;
        let (Some(address), Some(length)) = (read_kernel::<u64>(buffer as usize), length(buffer, skipped)) else {
            return 0;
        };
        if index >= count || (length > 0 && length < WANTED) {
            return 0;
        }
        if length > 0 {
            // SAFETY: there is room for so many.
            return unsafe { copy_user((&raw mut *into).cast(), address + skipped, WANTED as u32) }.into();
        }
        skipped = 0;
    }
    0
}

/// How much a buffer has left.
#[inline(always)]
fn length(buffer: u64, skipped: u64) -> Option<u64> {
    let length: u64 = read_kernel(buffer as usize + size_of::<u64>())?;
    length.checked_sub(skipped)
}
