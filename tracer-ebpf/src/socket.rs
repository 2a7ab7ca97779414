//! From an `SSL` object to the addresses of its socket, once per connection.
//!
//! In: the library's structures, by the offsets of the site; the kernel's, by the offsets from its BTF; or a socket that
//! the connection's ciphertext went out through. Out: a connection record. Refuses to guess: a BIO that is not a
//! socket's own, or a descriptor that is no connected socket, gives a record without addresses that says why. Where the
//! kernel describes no structures, the record has the descriptor alone, and the loader is woken to ask `/proc`.

use aya_ebpf::{bindings::BPF_RB_FORCE_WAKEUP, helpers::bpf_get_current_task, maps::ring_buf::RingBufEntry};
use tracer_ebpf::{
    AddressSource, ConnectionRecord, ConnectionState, KernelOffsets, Kind, SiteConfig, TargetFlags, UNIX_PATH,
};

use crate::{
    capture, connection,
    maps::{LIFECYCLE, SITES, kernel_offset},
    memory::{copy_kernel, field, read_field, read_kernel, read_user},
    scope, transport, unix,
};

/// `BIO_TYPE_SOCKET` of OpenSSL: 5, a source and a sink, with a descriptor (`openssl/bio.h`, 1.0.2 to 4.0).
const BIO_TYPE_SOCKET: u32 = 5 | 0x0400 | 0x0100;
/// From a method to its name, behind the type.
const METHOD_NAME: u64 = 8;
/// File type bits of `i_mode`, and a socket's (`include/uapi/linux/stat.h`).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Sends what is known of a connection, whose socket may be known already; a record that finds no room is sent with the next call.
#[inline(never)]
pub(crate) fn introduce(connection: &mut ConnectionState, ssl: u64, sock: u64) {
    let Some(mut entry) = reserve() else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { connection::fill_header(&raw mut (*record).header, connection.generation, ssl, connection.cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    clear(record);
    if sock == 0 {
        find_by_descriptor(record, connection, ssl);
    } else if name(record, sock) == 0 {
        record.source = AddressSource::NOT_INET;
    } else {
        record.source = connection.source;
    }
    if record.family == 0 && may_be_learned(record.source) {
        record.pending = 1;
    }
    submit(entry);
    connection.introduced = 1;
    connection.heard = 1;
}

/// Tells whether a connection is named by its descriptor alone, since the kernel's structures are not described.
#[inline(always)]
pub(crate) fn only_descriptors() -> bool {
    kernel_offset(|offsets| &raw const offsets.socket_sk) == KernelOffsets::UNKNOWN as usize
}

/// A record that the loader has to look into goes where it is woken from.
#[inline(always)]
fn reserve() -> Option<RingBufEntry<ConnectionRecord>> {
    if only_descriptors() {
        return LIFECYCLE.reserve_untyped(0);
    }
    capture::reserve()
}

#[inline(always)]
fn submit(entry: RingBufEntry<ConnectionRecord>) {
    if only_descriptors() {
        entry.submit(BPF_RB_FORCE_WAKEUP.into());
    } else {
        capture::submit(entry);
    }
}

#[inline(always)]
fn clear(record: &mut ConnectionRecord) {
    record.header.kind = Kind::CONNECTION;
    record.inode = 0;
    record.local = [0; 16];
    record.remote = [0; 16];
    record.fd = -1;
    record.local_port = 0;
    record.remote_port = 0;
    record.family = 0;
    record.pending = 0;
    record.netns = 0;
    record.local_path = [0; UNIX_PATH];
    record.remote_path = [0; UNIX_PATH];
}

/// Tells whether the ciphertext, or `/proc`, may still name the socket.
#[inline(always)]
fn may_be_learned(source: AddressSource) -> bool {
    if only_descriptors() {
        return source.0 == AddressSource::DESCRIPTOR.0;
    }
    let unnamed = source.0 == AddressSource::CUSTOM_BIO.0 || source.0 == AddressSource::UNKNOWN_LAYOUT.0;
    unnamed && scope::traced_task().is_some_and(|(_, flags)| flags.contains(TargetFlags::CIPHERTEXT))
}

#[inline(always)]
fn find_by_descriptor(record: &mut ConnectionRecord, connection: &mut ConnectionState, ssl: u64) {
    record.source = find_descriptor(record, ssl, connection);
    if record.fd < 0 {
        return;
    }
    if only_descriptors() {
        record.source = AddressSource::DESCRIPTOR;
        return;
    }
    let sock = sock_of_descriptor(record.fd as u32);
    if sock == 0 || name(record, sock) == 0 {
        record.source = AddressSource::NOT_INET;
    } else {
        transport::bind(connection, ssl, sock, record.source);
    }
}

/// The descriptor by the BIO where its structures are known, because that is what the library uses now; else the one
/// that was noted.
#[inline(always)]
fn find_descriptor(record: &mut ConnectionRecord, ssl: u64, connection: &ConnectionState) -> AddressSource {
    if let Some(site) = SITES.get(connection.cookie.site())
        && site.knows_descriptor()
    {
        record.fd = descriptor_of_bio(ssl, site);
        return if record.fd < 0 {
            AddressSource::CUSTOM_BIO
        } else {
            AddressSource::BIO
        };
    }
    if connection.noted_fd == 0 {
        return AddressSource::UNKNOWN_LAYOUT;
    }
    record.fd = connection.noted_fd.wrapping_sub(1) as i32;
    AddressSource::SET_FD
}

/// Reads the descriptor of the read BIO; -1 when that is not a socket's own.
#[inline(never)]
pub(crate) fn descriptor_of_bio(ssl: u64, site: &SiteConfig) -> i32 {
    socket_bio(ssl, site).unwrap_or(-1)
}

#[inline(always)]
fn socket_bio(ssl: u64, site: &SiteConfig) -> Option<i32> {
    let bio: u64 = read_user(ssl + u64::from(site.rbio))?;
    let method: u64 = read_user(bio + u64::from(site.bio_method))?;
    let kind: u32 = read_user(method)?;
    let name: u64 = read_user(method + METHOD_NAME)?;
    // Whoever makes a method may give it any type, and keeps its descriptor where it likes.
    let is_own = name.wrapping_sub(method) == i64::from(site.socket_name) as u64;
    if kind == BIO_TYPE_SOCKET && is_own {
        read_user(bio + u64::from(site.bio_num))
    } else {
        None
    }
}

/// Finds the `struct sock` of one of the current process's descriptors; 0 when that is no socket.
#[inline(never)]
fn sock_of_descriptor(fd: u32) -> u64 {
    find_file(fd).and_then(sock_of_file).unwrap_or(0)
}

#[inline(always)]
fn sock_of_file(file: u64) -> Option<u64> {
    let inode: u64 = read_field(file, |offsets| &raw const offsets.file_inode)?;
    let mode: u16 = read_field(inode, |offsets| &raw const offsets.inode_mode)?;
    if mode & S_IFMT != S_IFSOCK {
        return None;
    }
    let socket: u64 = read_field(file, |offsets| &raw const offsets.file_private_data)?;
    read_field(socket, |offsets| &raw const offsets.socket_sk)
}

#[inline(always)]
fn find_file(fd: u32) -> Option<u64> {
    // SAFETY: the helper takes no arguments.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = read_field(task, |offsets| &raw const offsets.task_files)?;
    let table: u64 = read_field(files, |offsets| &raw const offsets.files_fdt)?;
    let room: u32 = read_field(table, |offsets| &raw const offsets.fdt_max_fds)?;
    if fd >= room {
        return None;
    }
    let array: u64 = read_field(table, |offsets| &raw const offsets.fdt_fd)?;
    read_kernel(array as usize + fd as usize * size_of::<u64>())
}

/// Fills in the addresses of a socket; 0 when it is no connected internet or unix socket, and then it has none.
#[inline(never)]
fn name(record: &mut ConnectionRecord, sock: u64) -> u32 {
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

/// The family of a socket; 0 when it cannot be read.
#[inline(always)]
pub(crate) fn family(sock: u64) -> u16 {
    read_field(sock, |offsets| &raw const offsets.sock_family).unwrap_or(0)
}

#[inline(always)]
pub(crate) const fn is_internet(family: u16) -> bool {
    family == AF_INET || family == AF_INET6
}

/// Tells whether a socket has a peer: one that was reset or never connected has none.
#[inline(always)]
pub(crate) fn has_peer(sock: u64) -> bool {
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

/// The local port. The socket's number for it is gone once the connection was reset; the one in its headers stays.
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
    // SAFETY: no address is longer than 16 bytes.
    unsafe { copy_kernel((&raw mut *into).cast(), field(sock, pick)?, N) }.then_some(())
}

#[inline(always)]
fn net_namespace(sock: u64) -> Option<u32> {
    let net: u64 = read_field(sock, |offsets| &raw const offsets.sock_net)?;
    read_field(net, |offsets| &raw const offsets.net_inum)
}

#[inline(always)]
fn inode_of(sock: u64) -> Option<u64> {
    let socket: u64 = read_field(sock, |offsets| &raw const offsets.sock_socket)?;
    if socket == 0 {
        return None;
    }
    read_field(field(socket, |offsets| &raw const offsets.socket_inode)?, |offsets| {
        &raw const offsets.inode_ino
    })
}
