//! Streams of bytes that the kernel does not encrypt, and how far TCP has come on them.
//!
//! The sequence numbers are the kernel's own. They show what no program sees: bytes that `splice` has moved, or another
//! process.

use tracer_ebpf::{Direction, KernelOffsets};

use super::{
    binding::is_watched,
    socket::{AF_UNIX, family, is_internet},
};
use crate::memory::read_field;

/// The type of a socket (`include/linux/net.h`).
const SOCK_STREAM: u16 = 1;
/// The state of a TCP socket (`include/net/tcp_states.h`).
const ESTABLISHED: u8 = 1;

/// What [`kind`] returns: a socket is no stream.
pub(crate) const NONE: u32 = 0;
/// Its bytes are on the wire as the process gives them.
pub(crate) const PLAIN: u32 = 1;
/// The kernel may encrypt them.
pub(crate) const ENCRYPTED: u32 = 2;

/// Returns what kind of a stream a socket is.
#[inline(never)]
pub(crate) fn kind(sock: u64) -> u32 {
    if read_field(sock, |offsets| &raw const offsets.sock_type) != Some(SOCK_STREAM) {
        return NONE;
    }
    let family = family(sock);
    if family == AF_UNIX {
        return PLAIN;
    }
    if !is_internet(family) {
        return NONE;
    }
    if is_watched(sock) && read_field::<u64>(sock, |offsets| &raw const offsets.icsk_ulp) != Some(0) {
        return ENCRYPTED;
    }
    PLAIN
}

/// Returns the sequence number of TCP behind the last byte that the process has read or written.
#[inline(always)]
pub(crate) fn sequence(sock: u64, direction: Direction) -> Option<u32> {
    if direction == Direction::READ {
        read_field(sock, |offsets| &raw const offsets.tcp_read)
    } else {
        read_field(sock, |offsets| &raw const offsets.tcp_written)
    }
}

/// Returns whether a read may have passed the peer's end of the stream, which takes a sequence number too.
#[inline(always)]
pub(crate) fn may_have_ended(sock: u64) -> bool {
    read_field(sock, |offsets| &raw const offsets.sock_state) != Some(ESTABLISHED)
}

/// Returns 1 if these bytes are the first ones that the process has moved through a socket of TCP, in either direction.
///
/// A packet may come meanwhile. Then the process seems to have moved more bytes than it has: what stands behind is read first.
#[inline(never)]
pub(crate) fn is_start(sock: u64, direction: Direction, bytes: u64) -> u32 {
    let (read, written) = if direction == Direction::READ {
        (bytes, 0)
    } else {
        (0, bytes)
    };
    let has_read = moved(
        sock,
        |offsets| &raw const offsets.tcp_expected,
        |offsets| &raw const offsets.tcp_received,
        |offsets| &raw const offsets.tcp_read,
    );
    let has_written = moved(
        sock,
        |offsets| &raw const offsets.tcp_unacknowledged,
        |offsets| &raw const offsets.tcp_acknowledged,
        |offsets| &raw const offsets.tcp_written,
    );
    // The acknowledgement of a client's first packet counts as that of a byte.
    (has_read == Some(read) && (has_written == Some(written) || has_written == Some(written + 1))).into()
}

/// Returns how many bytes a process has read or written: those that TCP has received or that were acknowledged, and how far
/// the process is ahead of that.
#[inline(always)]
fn moved(
    sock: u64,
    border: impl FnOnce(&KernelOffsets) -> *const u32,
    counted: impl FnOnce(&KernelOffsets) -> *const u32,
    process: impl FnOnce(&KernelOffsets) -> *const u32,
) -> Option<u64> {
    let border: u32 = read_field(sock, border)?;
    let counted: u64 = read_field(sock, counted)?;
    let process: u32 = read_field(sock, process)?;
    Some(counted.wrapping_add(i64::from(process.wrapping_sub(border) as i32) as u64))
}
