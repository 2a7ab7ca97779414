//! What a connection's handshake agreed on, once per connection, when the user asked for it.
//!
//! In: the calls of `SSL_do_handshake`, and the library's structures by the offsets of the site. Out: a record before
//! the connection's first data. Refuses to guess: what is not known is zero, and a handshake whose beginning was not
//! seen has no duration.

use aya_ebpf::helpers::{bpf_ktime_get_ns, generated::bpf_probe_read_user_str};
use tracer_ebpf::{CallState, ConnectionState, Cookie, Kind, SettingFlags, SiteConfig, TlsRecord};

use crate::{
    capture, connection,
    maps::{SITES, settings},
    memory::{copy_user, forgotten, read_user},
    socket,
};

/// Has the connection known when a call of a handshake begins, so that the call is seen to clear it.
#[inline(never)]
pub(crate) fn begin(ssl: u64, tgid: u32, cookie: Cookie) {
    if settings().contains(SettingFlags::CONNECTIONS) {
        let _begun = connection::current(ssl, tgid, cookie);
    }
}

/// Notes what a call of a handshake has come to. The first one clears the connection's `SSL` object first thing.
#[inline(never)]
pub(crate) fn advance(call: *const CallState, is_done: bool) {
    // SAFETY: the caller hands over a live map value that belongs to this call alone.
    let call = unsafe { &*call };
    connection::note_start(call);
    let is_told = settings().contains(SettingFlags::CONNECTIONS);
    if !is_told && !socket::only_descriptors() {
        return;
    }
    let Some(connection) = connection::current(call.ssl, call.tgid, call.cookie) else {
        return;
    };
    // SAFETY: a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &mut *connection };
    if socket::only_descriptors() && connection.introduced == 0 {
        // The sooner a descriptor is looked at, the more of the connection comes after, and shows that it was its own.
        socket::introduce(connection, call.ssl, 0);
    }
    if !is_told {
        return;
    }
    if connection.handshake_began_ns == 0 && connection.cleared_ns > call.began_ns {
        connection.handshake_began_ns = call.began_ns;
    }
    if is_done && connection.handshake_began_ns != 0 && connection.handshake_ns == 0 {
        // SAFETY: the helper takes no arguments.
        connection.handshake_ns = unsafe { bpf_ktime_get_ns() } - connection.handshake_began_ns;
    }
}

/// Sends what the handshake agreed on; a record that finds no room is sent with the next call.
#[inline(never)]
pub(crate) fn tell(connection: &mut ConnectionState, ssl: u64) {
    let Some(mut entry) = capture::reserve::<TlsRecord>() else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the record is reserved.
    unsafe { connection::fill_header(&raw mut (*record).header, connection.generation, ssl, connection.cookie) };
    // SAFETY: as above; the record is plain data.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::TLS;
    record.handshake_ns = connection.handshake_ns;
    record.version = 0;
    record.reserved = [0; 6];
    record.cipher = [0; 48];
    record.alpn = [0; 32];
    record.server_name = [0; 128];
    if let Some(site) = SITES.get(connection.cookie.site()) {
        record.version = at::<u32>(ssl, site.version).map_or(0, |version| version as u16);
        fill_cipher(record, ssl, site);
        fill_protocol(record, ssl, site);
        fill_server_name(record, ssl, site);
    }
    capture::submit(entry);
    connection.told = 1;
    connection.heard = 1;
}

#[inline(never)]
fn fill_cipher(record: &mut TlsRecord, ssl: u64, site: &SiteConfig) {
    let name = at(ssl, site.session)
        .and_then(|session| at(session, site.session_cipher))
        .and_then(|cipher| at(cipher, site.cipher_name));
    copy_text(&mut record.cipher, name);
}

/// The protocol's name is not terminated; its length stands beside it.
#[inline(never)]
fn fill_protocol(record: &mut TlsRecord, ssl: u64, site: &SiteConfig) {
    let (Some(name), Some(length)) = (at::<u64>(ssl, site.alpn), at::<u32>(ssl, site.alpn_length)) else {
        return;
    };
    if name == 0 || length == 0 {
        return;
    }
    // Apart, because the compiler would make one comparison of the two, and old verifiers learn no bound from it.
    let length = forgotten(length.into());
    if length > record.alpn.len() as u64 {
        return;
    }
    // SAFETY: the name fits.
    let _copied = unsafe { copy_user((&raw mut record.alpn).cast(), name, length as u32) };
}

/// The connection's own, else that of the session it resumed.
#[inline(never)]
fn fill_server_name(record: &mut TlsRecord, ssl: u64, site: &SiteConfig) {
    let own = at(ssl, site.server_name).filter(|name| *name != 0);
    let name = own.or_else(|| at(ssl, site.session).and_then(|session| at(session, site.session_server_name)));
    copy_text(&mut record.server_name, name);
}

/// Reads a field of one of the library's structures.
#[inline(always)]
fn at<T>(structure: u64, offset: u16) -> Option<T> {
    if structure == 0 || offset == SiteConfig::UNKNOWN {
        return None;
    }
    read_user(structure + u64::from(offset))
}

/// Copies a terminated text, as much of it as there is room for.
#[inline(always)]
fn copy_text<const N: usize>(into: &mut [u8; N], text: Option<u64>) {
    if let Some(text) = text
        && text != 0
    {
        // SAFETY: the room is as large as the helper is told; it checks the address, and zeroes the room if it is bad.
        let _length = unsafe { bpf_probe_read_user_str((&raw mut *into).cast(), N as u32, text as *const _) };
    }
}
