//! From a TLS object to the descriptor of its socket, and from a descriptor to the kernel's `struct sock`.
//!
//! A descriptor comes from the object's read BIO, by the offsets of the library's structures; else from the call that set
//! it. A BIO whose method is not the library's own for sockets may keep anything where that one keeps its descriptor, so
//! none is read from it.

use aya_ebpf::helpers::bpf_get_current_task;
use tracer_ebpf::{AddressSource, Cookie, Identity, KernelOffsets, SiteConfig};

use super::net_conn;
use crate::{
    maps::{SITES, kernel_offset},
    memory::{read_field, read_kernel, read_user},
};

/// `BIO_TYPE_SOCKET` of OpenSSL: 5, a source and a sink, with a descriptor (`openssl/bio.h`, 1.0.2 to 4.0).
const BIO_TYPE_SOCKET: u32 = 5 | 0x0400 | 0x0100;
/// From a method to its name, behind the type.
const METHOD_NAME: u64 = 8;
/// File type bits of `i_mode`, and a socket's (`include/uapi/linux/stat.h`).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// Returns whether connections are identified by their descriptors alone, because the kernel does not describe its
/// structures (no BTF).
#[inline(always)]
pub(crate) fn only_descriptors() -> bool {
    kernel_offset(|offsets| &raw const offsets.socket_sk) == KernelOffsets::UNKNOWN as usize
}

/// Finds the descriptor of a connection, -1 if there is none: that of the BIO where its structures are known, because the
/// library uses that one now; else the one that was noted. `code` is the method that reads from a TCP socket of Go.
#[inline(always)]
pub(super) fn find(identity: &Identity, cookie: Cookie, object: u64, code: u64) -> (i32, AddressSource) {
    if let Some(site) = SITES.get(cookie.site())
        && site.knows_descriptor()
    {
        let fd = of_bio(object, site, site.rbio);
        return if fd < 0 {
            (-1, AddressSource::CUSTOM_BIO)
        } else {
            (fd, AddressSource::BIO)
        };
    }
    if let Some(site) = SITES.get(cookie.site())
        && site.transport != SiteConfig::UNKNOWN
    {
        return match of_transport(object, site) {
            Some(fd) => (fd, AddressSource::SET_FD),
            None => (-1, AddressSource::CUSTOM_BIO),
        };
    }
    if let Some(site) = SITES.get(cookie.site())
        && site.net_method != SiteConfig::UNKNOWN
    {
        return match net_conn::descriptor(object, site, code) {
            Some(fd) => (fd, AddressSource::NET_CONN),
            None => (-1, AddressSource::CUSTOM_BIO),
        };
    }
    if identity.noted_fd == 0 {
        return (-1, AddressSource::UNKNOWN_LAYOUT);
    }
    (identity.noted_fd.wrapping_sub(1) as i32, AddressSource::SET_FD)
}

/// Reads the descriptor that an object without BIOs reads from; `None` where it has functions of the program's own, which
/// are handed a pointer in that place.
#[inline(always)]
fn of_transport(object: u64, site: &SiteConfig) -> Option<i32> {
    let transport: u64 = read_user(object + u64::from(site.transport))?;
    if transport > i32::MAX as u64 {
        return None;
    }
    Some(transport as i32)
}

/// Reads the descriptor of a BIO, to which a pointer is at an offset of the object; -1 when it is not a socket's own.
#[inline(never)]
pub(crate) fn of_bio(object: u64, site: &SiteConfig, offset: u16) -> i32 {
    if !site.knows_descriptor() || offset == SiteConfig::UNKNOWN {
        return -1;
    }
    socket_bio(object, site, offset).unwrap_or(-1)
}

#[inline(always)]
fn socket_bio(object: u64, site: &SiteConfig, offset: u16) -> Option<i32> {
    let bio: u64 = read_user(object + u64::from(offset))?;
    let method: u64 = read_user(bio + u64::from(site.bio_method))?;
    let kind: u32 = read_user(method)?;
    let name: u64 = read_user(method + METHOD_NAME)?;
    // A program may give a method of its own any type; the name's address is the library's own.
    let is_own = name.wrapping_sub(method) == i64::from(site.socket_name) as u64;
    if kind == BIO_TYPE_SOCKET && is_own {
        read_user(bio + u64::from(site.bio_num))
    } else {
        None
    }
}

/// Finds the `struct sock` of one of the current process's descriptors; 0 when that is no socket.
#[inline(never)]
pub(crate) fn sock_of(fd: u32) -> u64 {
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
