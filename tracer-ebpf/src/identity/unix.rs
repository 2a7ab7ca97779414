//! The paths that a unix socket and its peer are bound to, as in `sun_path`: an unbound end has none, and an abstract name
//! begins with a zero byte.

use tracer_ebpf::{ConnectionRecord, UNIX_PATH};

use crate::memory::{copy_kernel, field, forgotten, read_field};

/// Bytes before `sun_path`: the family.
const FAMILY: u64 = 2;

/// Fills in both paths.
#[inline(never)]
pub(super) fn fill_paths(record: &mut ConnectionRecord, sock: u64) {
    copy_path(&mut record.local_path, sock);
    let peer: u64 = read_field(sock, |offsets| &raw const offsets.unix_peer).unwrap_or(0);
    copy_path(&mut record.remote_path, peer);
}

#[inline(never)]
fn copy_path(into: &mut [u8; UNIX_PATH], sock: u64) {
    if sock != 0 {
        let _copied = try_copy(into, sock);
    }
}

#[inline(always)]
fn try_copy(into: &mut [u8; UNIX_PATH], sock: u64) -> Option<bool> {
    let address: u64 = read_field(sock, |offsets| &raw const offsets.unix_addr)?;
    if address == 0 {
        return None;
    }
    let length: u32 = read_field(address, |offsets| &raw const offsets.unix_address_len)?;
    let path = u64::from(length).checked_sub(FAMILY)?;
    if path == 0 {
        return None;
    }
    // The compiler would merge the two comparisons into one, from which old verifiers derive no bound.
    let path = forgotten(path);
    if path > UNIX_PATH as u64 {
        return None;
    }
    let name = field(address, |offsets| &raw const offsets.unix_address_name)?;
    // SAFETY: the record is this program's alone, and the path fits.
    Some(unsafe { copy_kernel((&raw mut *into).cast(), name + FAMILY, path as u32) })
}
