//! The first bytes of a message that a process sends, from its first few buffers, and those of the records behind.
//!
//! Since Linux 6.3 a program runs where every socket has sent: it reads what the system call names. Before, it runs where
//! TCP is about to send, and reads the kernel's own header of the message. Messages of the kernel's pages have no bytes:
//! they are not ciphertext that a library of the process made.

use tracer_ebpf::CIPHERTEXT_BYTES;

use crate::{
    maps::kernel_offset,
    memory::{copy_user, field, forgotten, read_field, read_kernel, read_user},
    syscall::{self, Memory},
};

const WANTED: u64 = CIPHERTEXT_BYTES as u64;
/// Maximum buffers that are read.
const BUFFERS: u64 = 4;
/// Bytes of a `struct iovec`: an address and a length.
const IOVEC: u64 = 16;

/// Room for the first bytes of a message, and as much again: the verifier does not see that a piece that begins late is
/// short.
pub(super) type Room = [u8; 2 * CIPHERTEXT_BYTES];

/// A message that the current process sends.
pub(crate) trait Message: Copy {
    /// Returns where its bytes are; `None` if that is not known, or in no memory of the process.
    fn content(self) -> Option<Content>;

    /// Reads a word of its array of buffers.
    fn word(address: u64) -> Option<u64>;
}

/// Where the bytes of a message are.
pub(crate) struct Content {
    /// The address of the bytes, or of an array of `struct iovec`.
    address: u64,
    /// How many of these there are; 0 if the bytes are at the address.
    buffers: u64,
    /// How many of the first bytes were sent before.
    skipped: u64,
    /// How many bytes are at the address, with those.
    length: u64,
}

/// The address of the kernel's `struct msghdr`.
#[derive(Clone, Copy)]
pub(crate) struct Header(pub(crate) u64);

impl Message for Header {
    #[inline(always)]
    fn content(self) -> Option<Content> {
        let iterator = field(self.0, |offsets| &raw const offsets.msg_iter)?;
        let kind: u8 = read_field(iterator, |offsets| &raw const offsets.iter_type)?;
        let skipped: u64 = read_field(iterator, |offsets| &raw const offsets.iter_offset)?;
        if usize::from(kind) == kernel_offset(|offsets| &raw const offsets.iter_is_ubuf) {
            let left: u64 = read_field(iterator, |offsets| &raw const offsets.iter_count)?;
            return Some(Content {
                address: read_field(iterator, |offsets| &raw const offsets.iter_ubuf)?,
                buffers: 0,
                skipped,
                length: skipped + left,
            });
        }
        if usize::from(kind) != kernel_offset(|offsets| &raw const offsets.iter_is_iovec) {
            return None;
        }
        Some(Content {
            address: read_field(iterator, |offsets| &raw const offsets.iter_iov)?,
            buffers: read_field(iterator, |offsets| &raw const offsets.iter_segments)?,
            skipped,
            length: 0,
        })
    }

    #[inline(always)]
    fn word(address: u64) -> Option<u64> {
        read_kernel(address as usize)
    }
}

/// What the current system call has sent through the socket with this address.
#[derive(Clone, Copy)]
pub(crate) struct Sent(pub(crate) u64);

impl Message for Sent {
    #[inline(always)]
    fn content(self) -> Option<Content> {
        let mut memory = Memory::NONE;
        if syscall::find(self.0, &mut memory) != syscall::FOUND {
            return None;
        }
        Some(Content {
            address: memory.address,
            buffers: memory.buffers,
            skipped: 0,
            length: memory.length,
        })
    }

    #[inline(always)]
    fn word(address: u64) -> Option<u64> {
        read_user(address)
    }
}

/// Reads the first bytes of a message; 0 when it has fewer, or they cannot be read.
#[inline(never)]
pub(super) fn first_bytes<M: Message>(message: M, into: &mut Room) -> u32 {
    read(message, into).unwrap_or(0)
}

/// Reads as many bytes behind a position in the first buffer of a message; 0 when it has fewer, or they cannot be read.
#[inline(never)]
pub(super) fn later_bytes<M: Message>(message: M, position: u64, into: &mut Room) -> u32 {
    read_later(message, position, into).unwrap_or(0)
}

#[inline(always)]
fn read<M: Message>(message: M, into: &mut Room) -> Option<u32> {
    let content = message.content()?;
    if content.buffers != 0 {
        return Some(gather::<M>(into, content.address, content.buffers, content.skipped));
    }
    // SAFETY: there is room for as many. Bytes behind a shorter message match no ciphertext.
    let copied = unsafe {
        copy_user(
            (&raw mut *into).cast(),
            content.address + content.skipped,
            WANTED as u32,
        )
    };
    Some(copied.into())
}

#[inline(always)]
fn read_later<M: Message>(message: M, position: u64, into: &mut Room) -> Option<u32> {
    let content = message.content()?;
    let (buffer, end) = if content.buffers == 0 {
        (content.address, content.length)
    } else {
        (
            M::word(content.address)?,
            M::word(content.address + size_of::<u64>() as u64)?,
        )
    };
    let begin = content.skipped + position;
    // What is behind the end may be of another connection.
    if begin + WANTED > end {
        return None;
    }
    // SAFETY: there is room for as many.
    Some(unsafe { copy_user((&raw mut *into).cast(), buffer + begin, WANTED as u32) }.into())
}

/// Gathers the bytes from the first few buffers, of which the first begins with some that were sent; 0 when these hold
/// fewer.
#[inline(never)]
fn gather<M: Message>(into: &mut Room, first: u64, count: u64, skipped: u64) -> u32 {
    let mut done = 0;
    let mut skipped = skipped;
    for index in 0..BUFFERS {
        if index >= count {
            return 0;
        }
        let Some(copied) = copy_from::<M>(into, done, first + index * IOVEC, skipped) else {
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
fn copy_from<M: Message>(into: &mut Room, done: u64, buffer: u64, skipped: u64) -> Option<u64> {
    let address = M::word(buffer)?;
    let length = M::word(buffer + size_of::<u64>() as u64)?;
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
