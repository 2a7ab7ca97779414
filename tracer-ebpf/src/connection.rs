//! A connection as a whole: its flow, its identity and its handshake, which begin and end together.
//!
//! The modules below own one of the three each. Whatever concerns more than one of them is here, from the first call on a
//! TLS object to its end.

use tracer_ebpf::{
    AddressKey, CallState, ConnectionState, Cookie, Direction, EndRecord, Flow, FlushState, Kind, PassedCause,
    SettingFlags, ThreadState,
};

use crate::{
    capture,
    flow::{self, Early},
    handshake,
    identity::{self, binding, ciphertext, descriptor::only_descriptors, introduction::introduce},
    maps::{CONNECTIONS, settings},
    passed,
    record::{count, reserve_end, submit},
    task::current_task,
};

/// Finds the connection that uses an object now, or begins it; `None`, and counted, when the table is full.
#[inline(always)]
fn current<'a>(object: u64, tgid: u32, cookie: Cookie) -> Option<&'a mut ConnectionState> {
    let Some(connection) = flow::find_or_begin(&AddressKey::new(object, tgid)) else {
        count(cookie, |counters| &raw mut counters.connection_table_full, 1);
        return None;
    };
    // SAFETY: this thread is in a call on the object, and a library's caller must not use one object for one direction in
    // two threads at once. Tracepoints on other CPUs write the mark that it is closing, and nothing else.
    let connection = unsafe { &mut *connection };
    if binding::is_over(&connection.identity, &connection.flow) {
        // The next bytes go through another socket.
        renew(connection, object, tgid, cookie);
        identity::set_descriptor(&mut connection.identity, 0);
    }
    flow::note_site(&mut connection.flow, cookie);
    Some(connection)
}

/// Finds the connection of an object as it is.
#[inline(always)]
fn find<'a>(object: u64, tgid: u32) -> Option<&'a mut ConnectionState> {
    let connection = CONNECTIONS.get_ptr_mut(AddressKey::new(object, tgid))?;
    // SAFETY: as in [`current`].
    Some(unsafe { &mut *connection })
}

/// Plaintext of a TLS record at most: GnuTLS takes no more of one call, and less only if the peer has asked for less.
const TLS_RECORD_BYTES: u64 = 16 * 1024;

/// Captures what a call moved, unless a call nested in it has already done so. Without bytes at hand their number alone is
/// reported: the function has no buffer, or the call repeats one that failed and gives none.
#[inline(never)]
pub(crate) fn moved(call: &mut CallState, has_buffer: bool) {
    let Some(connection) = current(call.object, call.tgid, call.cookie) else {
        return;
    };
    let flushing = flow::flushing(&connection.flow, call);
    if flushing != FlushState::NONE {
        if flushing == FlushState::UNKNOWN {
            let cause = PassedCause::NOT_CAPTURED;
            skip_unknown(connection, call.object, call.cookie, call.direction, cause);
        }
        return;
    }
    if let Some(reported) = flow::take_refused(&mut connection.flow, call) {
        if reported == call.moved {
            flow::mark_reported(&mut connection.flow, call.direction, reported);
        } else {
            let cause = PassedCause::NOT_CAPTURED;
            skip_unknown(connection, call.object, call.cookie, call.direction, cause);
        }
        return;
    }
    if let Some(reported) = flow::reported_within(&connection.flow, call) {
        if reported != call.moved {
            skip_unknown(
                connection,
                call.object,
                call.cookie,
                call.direction,
                PassedCause::NOT_CAPTURED,
            );
        }
        return;
    }
    flow::mark_start(&mut connection.flow, call);
    let early = flow::judge_early(&mut connection.flow, call);
    if early == Early::Unknowable {
        skip_unknown(
            connection,
            call.object,
            call.cookie,
            call.direction,
            PassedCause::NOT_CAPTURED,
        );
        return;
    }
    call.early = (early == Early::Yes).into();
    if !identity::is_introduced(&connection.identity) {
        let sock = binding::sock_of(&connection.identity, &connection.flow);
        introduce(connection, call.object, sock);
    }
    if settings().contains(SettingFlags::CONNECTIONS) && !handshake::is_reported(&connection.handshake) {
        handshake::report(connection, call.object);
    }
    if !has_buffer {
        passed::report_known(call, &connection.flow, PassedCause::SENDFILE);
    } else if gives_no_bytes(call) {
        passed::report_known(call, &connection.flow, PassedCause::NOT_CAPTURED);
    } else {
        capture::send_bytes(call, &connection.flow);
    }
    flow::advance(&mut connection.flow, call);
}

/// Captures what GnuTLS has taken from a write that fails for now: the call that sends it may have no bytes of its own, or
/// others, and its result is their number.
#[inline(never)]
pub(crate) fn refused(call: &mut CallState) {
    let Some(connection) = current(call.object, call.tgid, call.cookie) else {
        return;
    };
    let repeated = flow::is_refused(&connection.flow) || gives_no_bytes(call);
    if repeated || flow::flushing(&connection.flow, call) != FlushState::NONE {
        return;
    }
    call.moved = if call.length < TLS_RECORD_BYTES {
        call.length
    } else {
        TLS_RECORD_BYTES
    };
    moved(call, true);
    flow::mark_refused(&mut connection.flow);
}

/// Returns whether a call has neither bytes nor room for any: GnuTLS then goes on with what it kept of the call before.
#[inline(always)]
pub(crate) fn gives_no_bytes(call: &CallState) -> bool {
    call.buffer == 0 && call.length == 0 && call.direction == Direction::WRITE
}

/// Notes that a call moves bytes, or moved some, and that their number is unknown.
#[inline(never)]
pub(crate) fn moved_unknown(object: u64, tgid: u32, cookie: Cookie, direction: Direction, cause: PassedCause) {
    if let Some(connection) = current(object, tgid, cookie) {
        skip_unknown(connection, object, cookie, direction, cause);
    }
}

/// Moves a direction on to its next stretch. A connection of which a direction has no stretch left ends, and begins anew
/// from its middle, as if joined late.
#[inline(never)]
fn skip_unknown(
    connection: &mut ConnectionState,
    object: u64,
    cookie: Cookie,
    direction: Direction,
    cause: PassedCause,
) {
    if passed::skip_unknown(&mut connection.flow, object, cookie, direction, cause) == 0 {
        renew(connection, object, current_task().tgid, cookie);
    }
}

/// Notes that a call which was seen from its entry has returned without moving bytes: it may have cleared its connection.
#[inline(never)]
pub(crate) fn note_start(call: &CallState) {
    if let Some(connection) = find(call.object, call.tgid) {
        flow::mark_start(&mut connection.flow, call);
    }
}

/// Notes that a call reads early data.
#[inline(never)]
pub(crate) fn read_early(object: u64, tgid: u32, cookie: Cookie) {
    if let Some(connection) = current(object, tgid, cookie) {
        flow::read_early(&mut connection.flow);
    }
}

/// Notes that a call begins that writes early data.
#[inline(never)]
pub(crate) fn begin_early(object: u64, tgid: u32, cookie: Cookie) {
    if let Some(connection) = current(object, tgid, cookie) {
        flow::begin_early(&mut connection.flow);
    }
}

/// Notes that a call that wrote early data has returned.
#[inline(never)]
pub(crate) fn end_early(call: &CallState) {
    if let Some(connection) = current(call.object, call.tgid, call.cookie) {
        flow::end_early(&mut connection.flow);
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
    let Some(connection) = current(call.object, call.tgid, call.cookie) else {
        return;
    };
    if only_descriptors() && !identity::is_introduced(&connection.identity) {
        // The loader asks `/proc` what the descriptor leads to. The earlier it asks, the more of the connection follows and
        // confirms the answer.
        introduce(connection, call.object, 0);
    }
    if reports {
        handshake::advance(&mut connection.handshake, &connection.flow, call, is_done);
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

/// Ends a connection whose object is freed.
#[inline(always)]
pub(crate) fn end(object: u64, tgid: u32, cookie: Cookie) {
    if let Some(connection) = find(object, tgid) {
        report_end(&connection.flow, object, cookie);
        ciphertext::forget(&mut connection.identity, tgid);
        let _removed = CONNECTIONS.remove(AddressKey::new(object, tgid));
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
    renew(connection, object, tgid, cookie);
    flow::mark_cleared(&mut connection.flow);
}

/// Ends a connection, and begins another one on the same object.
#[inline(never)]
fn renew(connection: &mut ConnectionState, object: u64, tgid: u32, cookie: Cookie) {
    report_end(&connection.flow, object, cookie);
    identity::reset(&mut connection.identity, tgid);
    handshake::reset(&mut connection.handshake);
    flow::reset(&mut connection.flow);
}

/// Reports the end of a connection that moved bytes or is in another record; a reader knows of no others.
#[inline(never)]
fn report_end(flow: &Flow, object: u64, cookie: Cookie) {
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
    record.read = flow::position(flow, Direction::READ);
    record.written = flow::position(flow, Direction::WRITE);
    submit(entry);
}
