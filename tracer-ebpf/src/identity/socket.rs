//! The kernel's `struct sock`: addresses, ports, inode and network namespace, by the offsets from the kernel's BTF.

use tracer_ebpf::{ConnectionRecord, KernelOffsets};

use super::unix;
use crate::memory::{copy_kernel, field, read_field};

pub(super) const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Fills in the addresses of a socket; 0 if it is not a connected internet or unix socket.
#[inline(never)]
pub(super) fn fill(record: &mut ConnectionRecord, sock: u64) -> u32 {
    fill_addresses(record, sock).is_some().into()
}

#[inline(always)]
fn fill_addresses(record: &mut ConnectionRecord, sock: u64) -> Option<()> {
    let family = family(sock);
    if family == AF_UNIX {
        unix::fill_paths(record, sock);
    } else if is_internet(family) {
        copy_addresses(record, sock, family)?;
    } else {
        return None;
    }
    record.netns = net_namespace(sock).unwrap_or(0);
    record.inode = inode_of(sock).unwrap_or(0);
    record.family = family;
    Some(())
}

/// Returns the family of a socket; 0 if it cannot be read.
#[inline(always)]
pub(crate) fn family(sock: u64) -> u16 {
    read_field(sock, |offsets| &raw const offsets.sock_family).unwrap_or(0)
}

#[inline(always)]
pub(crate) const fn is_internet(family: u16) -> bool {
    family == AF_INET || family == AF_INET6
}

/// Returns whether a socket has a peer: one that was reset or never connected has none.
#[inline(always)]
pub(super) fn has_peer(sock: u64) -> bool {
    match family(sock) {
        AF_UNIX => true,
        AF_INET | AF_INET6 => peer_port(sock).is_some(),
        _ => false,
    }
}

#[inline(always)]
fn peer_port(sock: u64) -> Option<u16> {
    let port: u16 = read_field(sock, |offsets| &raw const offsets.sock_dport)?;
    (port != 0).then(|| u16::from_be(port))
}

/// Reads the local port. `skc_num` is zero once the connection was reset; the port in the socket's headers stays.
#[inline(always)]
fn own_port(sock: u64) -> Option<u16> {
    let number: u16 = read_field(sock, |offsets| &raw const offsets.sock_num)?;
    if number != 0 {
        return Some(number);
    }
    let port: u16 = read_field(sock, |offsets| &raw const offsets.inet_sport)?;
    (port != 0).then(|| u16::from_be(port))
}

#[inline(always)]
fn copy_addresses(record: &mut ConnectionRecord, sock: u64, family: u16) -> Option<()> {
    record.remote_port = peer_port(sock)?;
    record.local_port = own_port(sock)?;
    if family == AF_INET {
        copy_address::<4>(&mut record.local, sock, |offsets| &raw const offsets.sock_saddr)?;
        copy_address::<4>(&mut record.remote, sock, |offsets| &raw const offsets.sock_daddr)?;
    } else {
        copy_address::<16>(&mut record.local, sock, |offsets| &raw const offsets.sock_saddr6)?;
        copy_address::<16>(&mut record.remote, sock, |offsets| &raw const offsets.sock_daddr6)?;
    }
    // A socket without a peer has a port and no address.
    (u128::from_ne_bytes(record.remote) != 0).then_some(())
}

/// Copies an address where it stands, because the stack is scarce.
#[inline(always)]
fn copy_address<const N: u32>(
    into: &mut [u8; 16],
    sock: u64,
    pick: impl FnOnce(&KernelOffsets) -> *const u32,
) -> Option<()> {
    // SAFETY: the record is this program's alone, and no address is longer than the 16 bytes.
    unsafe { copy_kernel((&raw mut *into).cast(), field(sock, pick)?, N) }.then_some(())
}

#[inline(always)]
fn net_namespace(sock: u64) -> Option<u32> {
    let net: u64 = read_field(sock, |offsets| &raw const offsets.sock_net)?;
    read_field(net, |offsets| &raw const offsets.net_inum)
}

#[inline(always)]
pub(super) fn inode_of(sock: u64) -> Option<u64> {
    let socket: u64 = read_field(sock, |offsets| &raw const offsets.sock_socket)?;
    if socket == 0 {
        return None;
    }
    read_field(field(socket, |offsets| &raw const offsets.socket_inode)?, |offsets| {
        &raw const offsets.inode_ino
    })
}
