//! A connection as a whole: its flow, its identity, its handshake, its hooks and its lift, which begin and end together.
//!
//! The modules below own one of them each. Whatever concerns more than one of them is here, from the first call on a
//! TLS object to its end.

use tracer_ebpf::{
    AddressKey, CallState, ConnectionState, Cookie, Direction, EndRecord, Flow, FlushState, Kind, PassedCause,
    SettingFlags, ThreadState,
};

use crate::{
    early_data, flow, handshake, hooks,
    identity::{
        self, binding, ciphertext, ciphertext::EncryptedRecord, descriptor::only_descriptors, introduction::introduce,
    },
    lift,
    maps::{CONNECTIONS, SITES, settings},
    passed,
    record::{count, reserve_end, submit},
    skip,
    task::current_task,
};

/// Finds the connection that uses an object now, or begins it; `None`, and counted, when the table is full.
#[inline(always)]
pub(crate) fn current<'a>(object: u64, tgid: u32, cookie: Cookie) -> Option<&'a mut ConnectionState> {
    let Some(connection) = flow::find_or_begin(&AddressKey::new(object, tgid)) else {
        count(cookie, |counters| &raw mut counters.connection_table_full, 1);
        return None;
    };
    // SAFETY: this thread is in a call on the object, and a library's caller must not use one object for one direction in
    // two threads at once. Tracepoints on other CPUs write the mark that it is closing, and nothing else.
    let connection = unsafe { &mut *connection };
    let may_be_another = flow::is_ended(&connection.flow) || connection.identity.closing != 0;
    if may_be_another && renew_if_over(connection, object, tgid, cookie) == 0 {
        return None;
    }
    flow::note_site(&mut connection.flow, cookie);
    Some(connection)
}

/// The same as a function of its own, so that the frame of the caller stays small.
#[inline(never)]
pub(crate) fn find_current<'a>(object: u64, tgid: u32, cookie: Cookie) -> Option<&'a mut ConnectionState> {
    current(object, tgid, cookie)
}

/// Finds the connection of an object as it is.
#[inline(always)]
pub(crate) fn find<'a>(object: u64, tgid: u32) -> Option<&'a mut ConnectionState> {
    let connection = CONNECTIONS.get_ptr_mut(AddressKey::new(object, tgid))?;
    // SAFETY: as in [`current`].
    Some(unsafe { &mut *connection })
}

/// Reports who a connection is, unless it was reported. From then on its sends are seen, if it has a lift.
#[inline(always)]
pub(crate) fn make_known(connection: &mut ConnectionState, object: u64) {
    if !identity::is_introduced(&connection.identity) {
        become_known(connection, object);
    }
}

/// Reports who a connection is. Returns nothing.
///
/// A global function, like `renew`, and so verified once and by itself: the verifier would walk it anew for each caller and
/// for each state that a caller can be in, which makes a trace begin later.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn become_known(connection: *mut ConnectionState, object: u64) -> u64 {
    if connection.is_null() {
        return 0;
    }
    // SAFETY: not null; the caller has it from `current` or `find`.
    let connection = unsafe { &mut *connection };
    let sock = binding::sock_of(&connection.identity, &connection.flow);
    introduce(connection, object, sock);
    if identity::is_introduced(&connection.identity) && lift::begin(connection, object) != 0 {
        let cookie = flow::cookie(&connection.flow);
        skip_unknown(connection, object, cookie, Direction::WRITE, PassedCause::NOT_CAPTURED);
    }
    0
}

/// Reports what the handshake of a connection agreed on, unless it was reported or nobody asked for it.
#[inline(always)]
pub(crate) fn report_handshake(connection: &mut ConnectionState, object: u64) {
    if settings().contains(SettingFlags::CONNECTIONS) && !handshake::is_reported(&connection.handshake) {
        handshake::report(connection, object);
    }
}

/// Moves a direction on to its next stretch. A connection of which a direction has no stretch left ends, and begins anew
/// from its middle, as if joined late.
#[inline(never)]
pub(crate) fn skip_unknown(
    connection: &mut ConnectionState,
    object: u64,
    cookie: Cookie,
    direction: Direction,
    cause: PassedCause,
) {
    if passed::skip_unknown(&mut connection.flow, object, cookie, direction, cause) == 0 {
        renew(connection, object, current_task().tgid, cookie.0);
    }
}

/// Notes that a call which was seen from its entry has returned without moving bytes: it may have cleared its connection.
#[inline(never)]
pub(crate) fn note_start(call: &CallState) {
    if let Some(connection) = find(call.transfer.object, call.transfer.tgid) {
        flow::mark_start(&mut connection.flow, &call.transfer);
    }
}

/// Notes that a call reads early data.
#[inline(never)]
pub(crate) fn read_early(object: u64, tgid: u32, cookie: Cookie) {
    if let Some(connection) = current(object, tgid, cookie) {
        early_data::read_early(&mut connection.flow);
    }
}

/// Notes that a call that wrote early data has returned.
#[inline(never)]
pub(crate) fn end_early(call: &CallState) {
    if let Some(connection) = current(call.transfer.object, call.transfer.tgid, call.transfer.cookie) {
        early_data::end_early(&mut connection.flow);
    }
}

/// Notes whether writes are sent from now on that were accepted before.
#[inline(never)]
pub(crate) fn set_flushing(object: u64, tgid: u32, cookie: Cookie, state: FlushState) {
    if let Some(connection) = current(object, tgid, cookie) {
        flow::set_flushing(&mut connection.flow, state);
    }
}

/// Begins the connection of a handshake as a call of it begins, so that the call is seen to clear it.
#[inline(never)]
pub(crate) fn begin_handshake(object: u64, tgid: u32, cookie: Cookie) {
    if settings().contains(SettingFlags::CONNECTIONS) {
        let _begun = current(object, tgid, cookie);
    }
}

/// Notes the result of a call of a handshake.
#[inline(never)]
pub(crate) fn advance_handshake(call: &CallState, is_done: bool) {
    note_start(call);
    let reports = settings().contains(SettingFlags::CONNECTIONS);
    if !reports && !only_descriptors() {
        return;
    }
    let Some(connection) = current(call.transfer.object, call.transfer.tgid, call.transfer.cookie) else {
        return;
    };
    if only_descriptors() {
        // The loader asks `/proc` what the descriptor leads to. The earlier it asks, the more of the connection follows and
        // confirms the answer.
        make_known(connection, call.transfer.object);
    }
    if reports {
        handshake::advance(&mut connection.handshake, &connection.flow, &call.transfer, is_done);
    }
}

/// Notes the descriptor that a call gave to a connection.
#[inline(never)]
pub(crate) fn note_descriptor(object: u64, tgid: u32, cookie: Cookie, fd: u32) {
    if let Some(connection) = current(object, tgid, cookie) {
        identity::set_descriptor(&mut connection.identity, fd.wrapping_add(1));
    }
}

/// Forgets the noted descriptor: the connection has another BIO now.
#[inline(always)]
pub(crate) fn forget_descriptor(object: u64, tgid: u32) {
    if let Some(connection) = find(object, tgid) {
        identity::set_descriptor(&mut connection.identity, 0);
    }
}

/// Remembers ciphertext that a TLS library hands to a BIO within a call.
#[inline(never)]
pub(crate) fn remember_ciphertext(thread: *const ThreadState, bio: u64, data: u64) {
    // SAFETY: only this thread uses the value; the loader removes it when the thread has ended.
    let thread = unsafe { &*thread };
    if let Some(connection) = current(thread.object, thread.tgid, thread.cookie) {
        ciphertext::remember(&mut connection.identity, thread, bio, data);
    }
}

/// Remembers a record that a TLS library has encrypted for a connection that was seen.
#[inline(never)]
pub(crate) fn remember_record(object: u64, tgid: u32, cookie: Cookie, record: &EncryptedRecord) {
    if let Some(connection) = find(object, tgid) {
        // Its socket may be found before its first data.
        flow::note_site(&mut connection.flow, cookie);
        ciphertext::remember_record(&mut connection.identity, object, tgid, record);
    }
}

/// Ends a connection whose object is freed. Where other threads may still use the object, the loader removes the entry
/// later.
#[inline(always)]
pub(crate) fn end(object: u64, tgid: u32, cookie: Cookie) {
    if let Some(connection) = find(object, tgid) {
        passed::end_all_skipped(&mut connection.flow, object, cookie);
        if SITES.get(cookie.site()).is_some_and(|site| site.shared != 0) {
            if !flow::is_ended(&connection.flow) {
                renew(connection, object, tgid, cookie.0);
                flow::mark_ended(&mut connection.flow);
            }
            return;
        }
        report_end(&connection.flow, object, cookie, tgid);
        ciphertext::forget(&mut connection.identity, tgid);
        let _removed = CONNECTIONS.remove(AddressKey::new(object, tgid));
        skip::forget(object, tgid);
    }
}

/// Begins the connection of a cleared object anew, on the same descriptor. One that was not known is known from here on:
/// whether a call clears its object shows whether the call is the connection's first.
#[inline(never)]
pub(crate) fn clear(object: u64, tgid: u32, cookie: Cookie) {
    let Some(connection) = flow::find_or_begin(&AddressKey::new(object, tgid)) else {
        return;
    };
    // SAFETY: as in [`current`].
    let connection = unsafe { &mut *connection };
    renew(connection, object, tgid, cookie.0);
    flow::mark_cleared(&mut connection.flow);
}

/// Begins another connection on an object whose last one is over; 0 if it was closed just now, and takes no bytes.
#[inline(never)]
fn renew_if_over(connection: &mut ConnectionState, object: u64, tgid: u32, cookie: Cookie) -> u32 {
    if flow::is_ended(&connection.flow) {
        if !flow::is_long_ended(&connection.flow) {
            return 0;
        }
        renew(connection, object, tgid, cookie.0);
    } else if binding::is_over(&connection.identity, &connection.flow) {
        // The next bytes go through another socket.
        renew(connection, object, tgid, cookie.0);
        identity::set_descriptor(&mut connection.identity, 0);
    }
    1
}

/// Ends a connection, and begins another one on the same object. Returns nothing.
///
/// A global function: see `become_known`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn renew(connection: *mut ConnectionState, object: u64, tgid: u32, cookie: u64) -> u64 {
    if connection.is_null() {
        return 0;
    }
    // SAFETY: not null; the caller has it from `current` or `find`.
    let (connection, cookie) = (unsafe { &mut *connection }, Cookie(cookie));
    passed::end_all_skipped(&mut connection.flow, object, cookie);
    report_end(&connection.flow, object, cookie, tgid);
    identity::reset(&mut connection.identity, tgid);
    handshake::reset(&mut connection.handshake);
    hooks::reset(&mut connection.hooks);
    lift::reset(&mut connection.lift);
    flow::reset(&mut connection.flow);
    0
}

/// Begins the connection that a socket without TLS stands for; `None`, and counted, when the table is full. An earlier one of
/// the address has ended.
#[inline(always)]
pub(crate) fn begin_plain<'a>(sock: u64, tgid: u32, cookie: Cookie) -> Option<&'a mut ConnectionState> {
    let was_there = find(sock, tgid).is_some();
    let Some(connection) = flow::find_or_begin(&AddressKey::new(sock, tgid)) else {
        count(cookie, |counters| &raw mut counters.connection_table_full, 1);
        return None;
    };
    // SAFETY: this thread moves bytes of the socket. If two threads do so, for the first time and in both directions, then both
    // begin the same connection.
    let connection = unsafe { &mut *connection };
    if was_there {
        renew(connection, sock, tgid, cookie.0);
    }
    flow::note_site(&mut connection.flow, cookie);
    Some(connection)
}

/// Ends the connection that a socket without TLS stands for, in whatever process this is noticed.
#[inline(never)]
pub(crate) fn end_plain(sock: u64, tgid: u32) {
    if let Some(connection) = find(sock, tgid) {
        passed::end_skipped_of(&mut connection.flow, sock, tgid, Direction::READ);
        passed::end_skipped_of(&mut connection.flow, sock, tgid, Direction::WRITE);
        report_end(&connection.flow, sock, flow::cookie(&connection.flow), tgid);
        let _removed = CONNECTIONS.remove(AddressKey::new(sock, tgid));
        skip::forget(sock, tgid);
    }
}

/// Reports the end of a connection that moved bytes or is in another record; a reader knows of no others.
#[inline(never)]
fn report_end(flow: &Flow, object: u64, cookie: Cookie, tgid: u32) {
    if !flow::is_known(flow) {
        return;
    }
    let Some(mut entry) = reserve_end::<EndRecord>() else {
        count(cookie, |counters| &raw mut counters.ring_full_records, 1);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { flow::fill_header(&raw mut (*record).header, flow, object, cookie) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::END;
    // The kernel may destroy a socket in whatever process runs when the last packet comes.
    record.header.tgid = tgid;
    record.read = flow::position(flow, Direction::READ);
    record.written = flow::position(flow, Direction::WRITE);
    submit(entry);
}
