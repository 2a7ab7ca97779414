//! What a connection's handshake agreed on, once per connection, when the user asked for it.
//!
//! The facts are read from the library's structures, by the offsets of the site; one that is not known is zero. A
//! handshake whose beginning was not seen has no duration.

use aya_ebpf::helpers::{bpf_ktime_get_ns, generated::bpf_probe_read_user_str};
use tracer_ebpf::{ConnectionState, Flow, Handshake, Kind, SiteConfig, TlsRecord, Transfer};

use crate::{
    flow::{self, fill_header},
    maps::SITES,
    memory::{copy_user, forgotten, read_user},
    record::{reserve, submit},
};

/// Notes the times of a handshake as one of its calls returns. The first one clears the object first thing.
#[inline(always)]
pub(crate) fn advance(handshake: &mut Handshake, flow: &Flow, transfer: &Transfer, is_done: bool) {
    if handshake.began_ns == 0 && flow::is_cleared_within(flow, transfer) {
        handshake.began_ns = transfer.began_ns;
    }
    if is_done && handshake.began_ns != 0 && handshake.took_ns == 0 {
        // SAFETY: the helper takes no arguments.
        handshake.took_ns = unsafe { bpf_ktime_get_ns() } - handshake.began_ns;
    }
}

/// Forgets a handshake: another connection uses the object.
#[inline(always)]
pub(crate) fn reset(handshake: &mut Handshake) {
    *handshake = Handshake::NEW;
}

/// Returns whether the result of the handshake was reported.
#[inline(always)]
pub(crate) fn is_reported(handshake: &Handshake) -> bool {
    handshake.reported != 0
}

/// Sends what the handshake agreed on. If the record finds no room, the next call tries again.
#[inline(never)]
pub(crate) fn report(connection: &mut ConnectionState, object: u64) {
    let (flow, handshake) = (&mut connection.flow, &mut connection.handshake);
    let cookie = flow::cookie(flow);
    let Some(mut entry) = reserve::<TlsRecord>() else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, flow, object, cookie) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::TLS;
    record.handshake_ns = handshake.took_ns;
    record.version = 0;
    record.reserved = [0; 6];
    record.cipher = [0; 48];
    record.alpn = [0; 32];
    record.server_name = [0; 128];
    if let Some(site) = SITES.get(cookie.site()) {
        record.version = at::<u32>(object, site.version).map_or(0, |version| version as u16);
        fill_cipher(record, object, site);
        fill_protocol(record, object, site);
        fill_server_name(record, object, site);
    }
    submit(entry);
    handshake.reported = 1;
    flow::mark_known(flow);
}

#[inline(never)]
fn fill_cipher(record: &mut TlsRecord, object: u64, site: &SiteConfig) {
    let name = at(object, site.session)
        .and_then(|session| at(session, site.session_cipher))
        .and_then(|cipher| at(cipher, site.cipher_name));
    copy_text(&mut record.cipher, name);
}

/// Copies the name of the protocol, which is not terminated: its length is a field of its own.
#[inline(never)]
fn fill_protocol(record: &mut TlsRecord, object: u64, site: &SiteConfig) {
    let (Some(name), Some(length)) = (at::<u64>(object, site.alpn), at::<u32>(object, site.alpn_length)) else {
        return;
    };
    if name == 0 || length == 0 {
        return;
    }
    // The compiler would merge the two comparisons into one, from which old verifiers derive no bound.
    let length = forgotten(length.into());
    if length > record.alpn.len() as u64 {
        return;
    }
    // SAFETY: the record is this program's alone, and the name fits.
    let _copied = unsafe { copy_user((&raw mut record.alpn).cast(), name, length as u32) };
}

/// Copies the server name of the connection, else that of the session it resumed.
#[inline(never)]
fn fill_server_name(record: &mut TlsRecord, object: u64, site: &SiteConfig) {
    let own = at(object, site.server_name).filter(|name| *name != 0);
    let name = own.or_else(|| at(object, site.session).and_then(|session| at(session, site.session_server_name)));
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

/// Copies a terminated text, cut to the room.
#[inline(always)]
fn copy_text<const N: usize>(into: &mut [u8; N], text: Option<u64>) {
    if let Some(text) = text
        && text != 0
    {
        // SAFETY: the room is this program's alone and has N bytes; the helper checks the address, and zeroes the room if
        // it is bad.
        let _length = unsafe { bpf_probe_read_user_str((&raw mut *into).cast(), N as u32, text as *const _) };
    }
}
