//! From an `SSL` object to the addresses of its socket, once per connection.
//!
//! In: the library's structures, by the offsets of the site; the kernel's, by the offsets from its BTF. Out: a
//! connection record. Refuses to guess: a BIO that is not a socket's own, or a descriptor that is not an internet
//! socket, gives a record without addresses that says why.

use aya_ebpf::helpers::{bpf_get_current_task, bpf_probe_read_kernel_buf};
use tracer_ebpf::{AddressSource, ConnectionRecord, ConnectionState, Cookie, Kind, SiteConfig, UNIX_PATH};

use crate::{
    capture, connection,
    maps::{SITES, kernel_offset},
    memory::{read_kernel, read_user},
};

/// `BIO_TYPE_SOCKET` of OpenSSL: 5, a source and a sink, with a descriptor (`openssl/bio.h`, 1.0.2 to 4.0).
const BIO_TYPE_SOCKET: u32 = 5 | 0x0400 | 0x0100;
/// File type bits of `i_mode`, and a socket's (`include/uapi/linux/stat.h`).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Sends what is known of a connection; a record that finds no room is sent with the next call.
#[inline(never)]
pub(crate) fn introduce(connection: &mut ConnectionState, ssl: u64, cookie: Cookie) {
    let Some(mut entry) = capture::reserve::<ConnectionRecord>() else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { connection::fill_header(&raw mut (*record).header, connection, ssl, cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::CONNECTION;
    record.inode = 0;
    record.local = [0; 16];
    record.remote = [0; 16];
    record.local_port = 0;
    record.remote_port = 0;
    record.family = 0;
    record.pending = 0;
    record.netns = 0;
    record.local_path = [0; UNIX_PATH];
    record.remote_path = [0; UNIX_PATH];
    record.fd = -1;
    record.source = find_descriptor(record, ssl, cookie, connection.noted_fd);
    if record.fd >= 0 && resolve(record) == 0 {
        record.family = 0;
        record.source = AddressSource::NOT_INET;
    }
    capture::submit(entry);
    connection.introduced = 1;
}

/// The descriptor by the BIO where its structures are known, because that is what the library uses now; else the one
/// that was noted.
#[inline(always)]
fn find_descriptor(record: &mut ConnectionRecord, ssl: u64, cookie: Cookie, noted_fd: u32) -> AddressSource {
    if let Some(site) = SITES.get(cookie.site())
        && site.knows_descriptor()
    {
        record.fd = descriptor_of_bio(ssl, site);
        return if record.fd < 0 {
            AddressSource::CUSTOM_BIO
        } else {
            AddressSource::BIO
        };
    }
    if noted_fd == 0 {
        return AddressSource::UNKNOWN_LAYOUT;
    }
    record.fd = noted_fd.wrapping_sub(1) as i32;
    AddressSource::SET_FD
}

/// Reads the descriptor of the read BIO; -1 when that is not a socket's own.
#[inline(never)]
fn descriptor_of_bio(ssl: u64, site: &SiteConfig) -> i32 {
    socket_bio(ssl, site).unwrap_or(-1)
}

#[inline(always)]
fn socket_bio(ssl: u64, site: &SiteConfig) -> Option<i32> {
    let bio: u64 = read_user(ssl + u64::from(site.rbio))?;
    let method: u64 = read_user(bio + u64::from(site.bio_method))?;
    let kind: u32 = read_user(method)?;
    if kind == BIO_TYPE_SOCKET {
        read_user(bio + u64::from(site.bio_num))
    } else {
        None
    }
}

/// Follows the record's descriptor to its addresses; 1 when they are known.
#[inline(never)]
fn resolve(record: &mut ConnectionRecord) -> u32 {
    fill_addresses(record).is_some().into()
}

#[inline(always)]
fn fill_addresses(record: &mut ConnectionRecord) -> Option<()> {
    let file = file_of_descriptor(record.fd as u32);
    if file == 0 {
        return None;
    }
    let inode: u64 = read_kernel(file + kernel_offset(|offsets| &raw const offsets.file_inode))?;
    let mode: u16 = read_kernel(inode as usize + kernel_offset(|offsets| &raw const offsets.inode_mode))?;
    if mode & S_IFMT != S_IFSOCK {
        return None;
    }
    record.inode = read_kernel(inode as usize + kernel_offset(|offsets| &raw const offsets.inode_ino))?;
    let socket: u64 = read_kernel(file + kernel_offset(|offsets| &raw const offsets.file_private_data))?;
    let sock: u64 = read_kernel(socket as usize + kernel_offset(|offsets| &raw const offsets.socket_sk))?;
    (fill_from_sock(record, sock as usize) != 0).then_some(())
}

/// Finds the kernel's `struct file` of one of the current process's descriptors; 0 when there is none.
#[inline(never)]
fn file_of_descriptor(fd: u32) -> usize {
    find_file(fd).unwrap_or(0)
}

#[inline(always)]
fn find_file(fd: u32) -> Option<usize> {
    // SAFETY: the helper takes no arguments.
    let task = unsafe { bpf_get_current_task() } as usize;
    let files: u64 = read_kernel(task + kernel_offset(|offsets| &raw const offsets.task_files))?;
    let table: u64 = read_kernel(files as usize + kernel_offset(|offsets| &raw const offsets.files_fdt))?;
    let room: u32 = read_kernel(table as usize + kernel_offset(|offsets| &raw const offsets.fdt_max_fds))?;
    if fd >= room {
        return None;
    }
    let array: u64 = read_kernel(table as usize + kernel_offset(|offsets| &raw const offsets.fdt_fd))?;
    let file: u64 = read_kernel(array as usize + fd as usize * size_of::<u64>())?;
    Some(file as usize)
}

/// Copies ports and addresses; 0 when the socket is not an internet socket.
#[inline(never)]
fn fill_from_sock(record: &mut ConnectionRecord, sock: usize) -> u32 {
    copy_addresses(record, sock).is_some().into()
}

#[inline(always)]
fn copy_addresses(record: &mut ConnectionRecord, sock: usize) -> Option<()> {
    let family: u16 = read_kernel(sock + kernel_offset(|offsets| &raw const offsets.sock_family))?;
    record.local_port = read_kernel(sock + kernel_offset(|offsets| &raw const offsets.sock_num))?;
    let peer: u16 = read_kernel(sock + kernel_offset(|offsets| &raw const offsets.sock_dport))?;
    record.remote_port = u16::from_be(peer);
    let (local, remote) = match family {
        AF_INET => {
            let local = kernel_offset(|offsets| &raw const offsets.sock_saddr);
            (local, kernel_offset(|offsets| &raw const offsets.sock_daddr))
        }
        AF_INET6 => {
            let local = kernel_offset(|offsets| &raw const offsets.sock_saddr6);
            (local, kernel_offset(|offsets| &raw const offsets.sock_daddr6))
        }
        _ => return None,
    };
    let bytes = if family == AF_INET { 4 } else { 16 };
    copy_kernel(sock + local, &mut record.local, bytes)?;
    copy_kernel(sock + remote, &mut record.remote, bytes)?;
    record.family = family;
    Some(())
}

/// Copies the first `bytes` of an address where it stands, because the stack is scarce.
#[inline(always)]
fn copy_kernel(address: usize, into: &mut [u8; 16], bytes: usize) -> Option<()> {
    // SAFETY: the helper checks the address; a bad one is an error, not a fault.
    unsafe { bpf_probe_read_kernel_buf(address as *const u8, into.get_mut(..bytes)?) }.ok()
}
