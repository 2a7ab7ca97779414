//! The first bytes of a message that a process sends, from the first few buffers of its `struct msghdr`, and those of the
//! records behind.
//!
//! Messages of the kernel's own pages have none: they are not ciphertext that a library of the process made.

use tracer_ebpf::CIPHERTEXT_BYTES;

use crate::{
    maps::kernel_offset,
    memory::{copy_user, field, forgotten, read_field, read_kernel},
};

const WANTED: u64 = CIPHERTEXT_BYTES as u64;
/// Maximum buffers that are read.
const BUFFERS: u64 = 4;
/// Bytes of a `struct iovec`: an address and a length.
const IOVEC: u64 = 16;

/// Room for the first bytes of a message, and as much again: the verifier does not see that a piece that begins late is
/// short.
pub(super) type Room = [u8; 2 * CIPHERTEXT_BYTES];

/// Reads the first bytes of a message; 0 when it has fewer, or they cannot be read.
#[inline(never)]
pub(super) fn first_bytes(message: u64, into: &mut Room) -> u32 {
    read(message, into).unwrap_or(0)
}

/// Reads as many bytes behind a position in the first buffer of a message; 0 when it has fewer, or they cannot be read.
#[inline(never)]
pub(super) fn later_bytes(message: u64, position: u64, into: &mut Room) -> u32 {
    read_later(message, position, into).unwrap_or(0)
}

#[inline(always)]
fn read_later(message: u64, position: u64, into: &mut Room) -> Option<u32> {
    let iterator = field(message, |offsets| &raw const offsets.msg_iter)?;
    let kind: u8 = read_field(iterator, |offsets| &raw const offsets.iter_type)?;
    let skipped: u64 = read_field(iterator, |offsets| &raw const offsets.iter_offset)?;
    let begin = skipped + position;
    let (buffer, end): (u64, u64) = if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_ubuf) {
        let count: u64 = read_field(iterator, |offsets| &raw const offsets.iter_count)?;
        (
            read_field(iterator, |offsets| &raw const offsets.iter_ubuf)?,
            skipped + count,
        )
    } else if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_iovec) {
        let first: u64 = read_field(iterator, |offsets| &raw const offsets.iter_iov)?;
        (
            read_kernel(first as usize)?,
            read_kernel(first as usize + size_of::<u64>())?,
        )
    } else {
        return None;
    };
    // What is behind the end may be of another connection.
    if begin + WANTED > end {
        return None;
    }
    // SAFETY: there is room for as many.
    Some(unsafe { copy_user((&raw mut *into).cast(), buffer + begin, WANTED as u32) }.into())
}

#[inline(always)]
fn read(message: u64, into: &mut Room) -> Option<u32> {
    let iterator = field(message, |offsets| &raw const offsets.msg_iter)?;
    let kind: u8 = read_field(iterator, |offsets| &raw const offsets.iter_type)?;
    let skipped: u64 = read_field(iterator, |offsets| &raw const offsets.iter_offset)?;
    if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_ubuf) {
        let buffer: u64 = read_field(iterator, |offsets| &raw const offsets.iter_ubuf)?;
        // SAFETY: there is room for as many. Bytes behind a shorter message match no ciphertext.
        return Some(unsafe { copy_user((&raw mut *into).cast(), buffer + skipped, WANTED as u32) }.into());
    }
    if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_iovec) {
        let first: u64 = read_field(iterator, |offsets| &raw const offsets.iter_iov)?;
        let count: u64 = read_field(iterator, |offsets| &raw const offsets.iter_segments)?;
        return Some(gather(into, first, count, skipped));
    }
    None
}

/// Gathers the bytes from the first few buffers, of which the first begins with some that were sent; 0 when these hold
/// fewer.
#[inline(never)]
fn gather(into: &mut Room, first: u64, count: u64, skipped: u64) -> u32 {
    let mut done = 0;
    let mut skipped = skipped;
    for index in 0..BUFFERS {
        if index >= count {
            return 0;
        }
        let Some(copied) = copy_from(into, done, first + index * IOVEC, skipped) else {
            return 0;
        };
        done += copied;
        if done == WANTED {
            return 1;
        }
        skipped = 0;
    }
    0
}

/// Copies the bytes that are still wanted from one buffer; returns how many it had.
#[inline(always)]
fn copy_from(into: &mut Room, done: u64, buffer: u64, skipped: u64) -> Option<u64> {
    let address: u64 = read_kernel(buffer as usize)?;
    let length: u64 = read_kernel(buffer as usize + size_of::<u64>())?;
    let there = length.checked_sub(skipped)?;
    let wanted = WANTED - done;
    let bytes = if there < wanted { there } else { wanted };
    if bytes == 0 {
        return Some(0);
    }
    let (done, bytes) = (forgotten(done), forgotten(bytes));
    if done >= WANTED || bytes > WANTED {
        return None;
    }
    // SAFETY: there is room for twice as many as are wanted.
    let copied = unsafe {
        let into = (&raw mut *into).cast::<u8>().add(done as usize);
        copy_user(into, address + skipped, bytes as u32)
    };
    copied.then_some(bytes)
}
