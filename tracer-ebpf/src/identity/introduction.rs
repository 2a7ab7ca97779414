//! The record of a connection's addresses, once per connection.
//!
//! Addresses come from the descriptor of the connection, or from the socket that its ciphertext went out through. Where
//! neither is known for certain the record has no addresses, and the reason. On kernels without BTF the record has the
//! descriptor alone, and wakes the loader, which asks `/proc`.

use aya_ebpf::maps::ring_buf::RingBufEntry;
use tracer_ebpf::{AddressSource, ConnectionRecord, ConnectionState, Flow, Identity, Kind, TargetFlags, UNIX_PATH};

use super::{
    binding,
    descriptor::{self, only_descriptors},
    socket,
};
use crate::{
    flow::{self, fill_header},
    record, target,
};

/// Sends the record of a connection; `sock` is its socket, or 0 if that has yet to be found. If the record finds no room,
/// the next call tries again.
#[inline(never)]
pub(crate) fn introduce(connection: &mut ConnectionState, object: u64, sock: u64) {
    let code = connection.lift.code;
    let (flow, identity) = (&mut connection.flow, &mut connection.identity);
    let Some(mut entry) = reserve() else {
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, flow, object, flow::cookie(flow)) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    clear(record);
    if sock == 0 {
        find_by_descriptor(record, identity, flow, object, code);
    } else if socket::fill(record, sock) == 0 {
        record.source = AddressSource::NOT_INET;
    } else {
        record.source = identity.source;
    }
    if record.family == 0 && may_be_learned(record.source) {
        record.pending = 1;
    }
    submit(entry);
    identity.introduced = 1;
    flow::mark_known(flow);
}

/// A record that the loader has to complete goes where the loader is woken from.
#[inline(always)]
fn reserve() -> Option<RingBufEntry<ConnectionRecord>> {
    if only_descriptors() {
        return record::reserve_end();
    }
    record::reserve()
}

#[inline(always)]
fn submit(entry: RingBufEntry<ConnectionRecord>) {
    if only_descriptors() {
        record::submit_and_wake(entry);
    } else {
        record::submit(entry);
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

/// Returns whether the ciphertext, or `/proc`, may still identify the socket.
#[inline(always)]
fn may_be_learned(source: AddressSource) -> bool {
    if only_descriptors() {
        return source.0 == AddressSource::DESCRIPTOR.0;
    }
    let is_unknown = source.0 == AddressSource::CUSTOM_BIO.0 || source.0 == AddressSource::UNKNOWN_LAYOUT.0;
    is_unknown && target::current_flags().is_some_and(|flags| flags.contains(TargetFlags::CIPHERTEXT))
}

#[inline(always)]
fn find_by_descriptor(record: &mut ConnectionRecord, identity: &mut Identity, flow: &Flow, object: u64, code: u64) {
    (record.fd, record.source) = descriptor::find(identity, flow::cookie(flow), object, code);
    identity.source = record.source;
    if record.fd < 0 {
        return;
    }
    if only_descriptors() {
        record.source = AddressSource::DESCRIPTOR;
        return;
    }
    let sock = descriptor::sock_of(record.fd as u32);
    if sock == 0 || socket::fill(record, sock) == 0 {
        record.source = AddressSource::NOT_INET;
    } else {
        binding::bind(identity, flow, object, sock, record.source);
    }
}
