//! The bytes of calls: reported, or compared with those of the tap or the lift that reports the direction.

use tracer_ebpf::{
    CallState, ConnectionState, Cookie, Direction, FlushState, HooksRefused, LiftState, Owner, PassedCause,
    RECORD_BYTES, SiteConfig, Transfer,
};

use crate::{
    capture,
    connection::{current, find, make_known, note_start, report_handshake, skip_unknown},
    early_data::{self, Early},
    flow, hooks,
    maps::SITES,
    memory::read_user,
    passed,
    record::count,
    task,
};

/// Captures the bytes of a call, unless other hooks report its direction or a nested call has reported them. Reports only
/// their number if the function has no buffer, or the call repeats a failed one without passing the bytes again.
#[inline(never)]
pub(crate) fn moved(call: &mut CallState, has_buffer: bool) {
    let transfer = &call.transfer;
    let Some(connection) = current(transfer.object, transfer.tgid, transfer.cookie) else {
        return;
    };
    hooks::send_unsent(&mut connection.hooks, &connection.flow, transfer.object);
    if has_buffer && !reports(connection, call) && confirm(connection, call) != 0 {
        return;
    }
    let transfer = &call.transfer;
    let flushing = flow::flushing(&connection.flow, transfer);
    if flushing != FlushState::NONE {
        if flushing == FlushState::UNKNOWN {
            skip_call(connection, transfer);
        }
        return;
    }
    if let Some(reported) = flow::take_refused(&mut connection.flow, transfer) {
        if reported == transfer.moved {
            flow::mark_reported(&mut connection.flow, transfer.direction, reported);
        } else {
            skip_call(connection, transfer);
        }
        return;
    }
    if let Some(reported) = flow::reported_within(&connection.flow, transfer) {
        if reported != transfer.moved {
            skip_call(connection, transfer);
        }
        return;
    }
    flow::mark_start(&mut connection.flow, transfer);
    report_call(connection, call, has_buffer);
}

/// Captures the bytes of a goroutine's call. No tap reports the direction beside the calls. Calls that overlap are of several
/// goroutines, which the lock of the connection keeps apart, so that none contains another.
#[inline(never)]
pub(crate) fn moved_by_goroutine(call: &mut CallState) {
    let transfer = &call.transfer;
    let (object, tgid, cookie, direction) = (transfer.object, transfer.tgid, transfer.cookie, transfer.direction);
    if transfer.moved > call.length {
        count(cookie, |counters| &raw mut counters.count_unreadable, 1);
        moved_unknown(object, tgid, cookie, direction, PassedCause::UNREADABLE);
        return;
    }
    let Some(connection) = current(object, tgid, cookie) else {
        return;
    };
    if call.code != 0 {
        connection.lift.code = call.code;
    }
    hooks::set_owner(&mut connection.hooks, direction, Owner::CALL);
    // A call whose beginning was not seen may have brought the first bytes.
    if task::unseen_ns(tgid) <= flow::generation(&connection.flow) {
        flow::mark_start_since_clearing(&mut connection.flow);
    }
    report_call(connection, call, true);
}

/// Captures the bytes of a goroutine's write as it begins: another goroutine may read the answer before the write returns. Not if
/// the handshake may have yet to begin, because the connection begins with that.
#[inline(never)]
pub(crate) fn begin_write(call: &mut CallState) {
    let (object, tgid) = (call.transfer.object, call.transfer.tgid);
    if !is_established(object, tgid, call.transfer.cookie) {
        return;
    }
    call.transfer.moved = call.length;
    moved_by_goroutine(call);
    if let Some(connection) = find(object, tgid) {
        call.reported_ns = connection.flow.reported_ns(Direction::WRITE);
    }
}

/// Compares a write that was captured as it began with what it returns. If it failed, or if another goroutine's write began
/// meanwhile, so that their order is not certain, the direction moves on by an unknown number of bytes.
#[inline(never)]
pub(crate) fn end_write(call: &CallState, moved: i64) {
    let transfer = &call.transfer;
    if let Some(connection) = find(transfer.object, transfer.tgid) {
        let is_alone = connection.flow.reported_ns(Direction::WRITE) == call.reported_ns;
        let is_same = flow::generation(&connection.flow) <= transfer.began_ns;
        if is_same && (!is_alone || moved as u64 != call.length) {
            skip_call(connection, transfer);
        }
    }
}

/// Returns whether the handshake of a connection of Go has begun: its version is set, or, where that is in no known place, the
/// connection is known.
#[inline(always)]
fn is_established(object: u64, tgid: u32, cookie: Cookie) -> bool {
    if let Some(site) = SITES.get(cookie.site())
        && site.version != SiteConfig::UNKNOWN
    {
        return read_user::<u16>(object.wrapping_add(site.version.into())).is_some_and(|version| version != 0);
    }
    find(object, tgid).is_some_and(|connection| {
        let is_over = flow::is_ended(&connection.flow) || connection.identity.closing != 0;
        !is_over && (flow::is_known(&connection.flow) || flow::is_cleared(&connection.flow))
    })
}

/// Returns whether calls report a direction. Refuses the tap or the lift if it should have captured the bytes of this call
/// and has captured none of the connection.
#[inline(always)]
fn reports(connection: &mut ConnectionState, call: &CallState) -> bool {
    let (transfer, hooks) = (&call.transfer, &mut connection.hooks);
    let owner = hooks::owner(hooks, transfer.direction);
    if owner == Owner::NONE {
        if call.positioned != 0 && call.transfer.moved != 0 {
            hooks::refuse(
                hooks,
                &connection.flow,
                transfer.object,
                transfer.direction,
                HooksRefused::UNSEEN,
            );
        }
        hooks::set_owner(hooks, transfer.direction, Owner::CALL);
        return true;
    }
    owner == Owner::CALL
}

#[inline(always)]
fn report_call(connection: &mut ConnectionState, call: &mut CallState, has_buffer: bool) {
    let early = early_data::judge_early(&mut connection.flow, &call.transfer);
    if early == Early::Unknowable {
        skip_call(connection, &call.transfer);
        return;
    }
    call.transfer.early = (early == Early::Yes).into();
    make_known(connection, call.transfer.object);
    report_handshake(connection, call.transfer.object);
    if !has_buffer {
        passed::report_known(&mut call.transfer, &mut connection.flow, PassedCause::SENDFILE);
    } else if gives_no_bytes(call) {
        passed::report_known(&mut call.transfer, &mut connection.flow, PassedCause::NOT_CAPTURED);
    } else {
        capture::send_bytes(&mut call.transfer, &mut connection.flow);
    }
    flow::advance(&mut connection.flow, &call.transfer);
    flow::mark_call_reported(&mut connection.flow, &call.transfer);
    hooks::mark_reported(&mut connection.hooks, call.transfer.direction);
}

/// Compares the bytes of a call with those that a tap or a lift captured while it ran, by their number and the first ones of
/// the last hit; returns 0 if these captured none and the call has to report them.
#[inline(never)]
fn confirm(connection: &mut ConnectionState, call: &CallState) -> u32 {
    let transfer = &call.transfer;
    if flow::reported_within(&connection.flow, transfer).is_some() {
        return 1;
    }
    if call.positioned == 0 && is_given_up(transfer) {
        return give_up(connection, transfer);
    }
    if call.positioned == 0 || flow::is_unknown(&connection.flow, transfer.direction) {
        flow::mark_reported(&mut connection.flow, transfer.direction, transfer.moved);
        return 1;
    }
    // Another connection of the object began within the call.
    let is_new = flow::generation(&connection.flow) > transfer.began_ns;
    let began = if is_new { 0 } else { call.position };
    let reached = flow::position(&connection.flow, transfer.direction);
    let brought = reached.wrapping_sub(began);
    let is_missing = hooks::is_missing(&connection.hooks, transfer.direction, brought, reached);
    let has_other_bytes = brought == transfer.moved && hooks::differs(connection, transfer, began) != 0;
    if hooks::confirm(&mut connection.hooks, transfer, brought, reached, connection.lift.bytes) == 0 || has_other_bytes
    {
        let cause = if is_missing {
            HooksRefused::UNSEEN
        } else {
            HooksRefused::MISMATCH
        };
        let (object, direction) = (transfer.object, transfer.direction);
        hooks::refuse(&mut connection.hooks, &connection.flow, object, direction, cause);
        if is_missing {
            return 0;
        }
        skip_call(connection, transfer);
    } else if hooks::is_settled(&connection.hooks, transfer.direction) {
        count(transfer.cookie, |counters| &raw mut counters.confirmed, 1);
    }
    flow::mark_reported(&mut connection.flow, transfer.direction, transfer.moved);
    1
}

/// Returns whether the loader has given up the tap or the lift of a direction for the file.
#[inline(always)]
fn is_given_up(transfer: &Transfer) -> bool {
    SITES
        .get(transfer.cookie.site())
        .is_some_and(|config| config.cheap_site(transfer.direction).is_none())
}

/// Leaves a direction to its calls from now on. Returns 0 if this one has to report its bytes. What a write sends may have
/// been captured before, in part or as a whole, so it moves the direction on by an unknown number of bytes.
#[inline(always)]
fn give_up(connection: &mut ConnectionState, transfer: &Transfer) -> u32 {
    hooks::retire(&mut connection.hooks, transfer.direction);
    if transfer.direction == Direction::READ {
        return 0;
    }
    skip_call(connection, transfer);
    flow::mark_reported(&mut connection.flow, transfer.direction, transfer.moved);
    1
}

/// Notes the position of a direction at the entry of a call whose bytes a tap or a lift should capture.
#[inline(never)]
pub(crate) fn note_position(call: &mut CallState) {
    let transfer = &call.transfer;
    let Some(config) = SITES.get(transfer.cookie.site()) else {
        return;
    };
    if config.cheap_site(transfer.direction).is_none() {
        return;
    }
    let is_lifted = transfer.direction == Direction::WRITE && config.lift != SiteConfig::UNKNOWN;
    if let Some(connection) = find(transfer.object, transfer.tgid) {
        let owner = hooks::owner(&connection.hooks, transfer.direction);
        if owner == Owner::CALL || is_lifted && connection.lift.state == LiftState::UNBOUND {
            return;
        }
        call.position = flow::position(&connection.flow, transfer.direction);
    } else if is_lifted {
        return;
    }
    call.positioned = 1;
}

/// Captures what GnuTLS keeps of a write that returns `GNUTLS_E_AGAIN` or `GNUTLS_E_INTERRUPTED`. A later call sends it and
/// returns its length, whatever bytes that call passes.
#[inline(always)]
pub(crate) fn refused(call: &mut CallState) {
    let transfer = &call.transfer;
    if !SITES
        .get(transfer.cookie.site())
        .is_some_and(|config| config.keeps_refused != 0)
    {
        note_start(call);
        return;
    }
    let Some(connection) = current(transfer.object, transfer.tgid, transfer.cookie) else {
        return;
    };
    let repeated = flow::is_refused(&connection.flow) || gives_no_bytes(call);
    if repeated || flow::flushing(&connection.flow, transfer) != FlushState::NONE {
        return;
    }
    // GnuTLS takes no more of one call, and less only if the peer has asked for less.
    call.transfer.moved = if call.length < RECORD_BYTES {
        call.length
    } else {
        RECORD_BYTES
    };
    moved(call, true);
    flow::mark_refused(&mut connection.flow);
}

/// Returns whether a call has neither bytes nor room for any: GnuTLS then goes on with what it kept of the call before.
#[inline(always)]
pub(crate) fn gives_no_bytes(call: &CallState) -> bool {
    call.transfer.buffer == 0 && call.length == 0 && call.transfer.direction == Direction::WRITE
}

/// Notes that a call moves, or moved, an unknown number of bytes, unless a tap or a lift reports the direction.
#[inline(never)]
pub(crate) fn moved_unknown(object: u64, tgid: u32, cookie: Cookie, direction: Direction, cause: PassedCause) {
    if let Some(connection) = current(object, tgid, cookie) {
        let owner = hooks::owner(&connection.hooks, direction);
        if owner == Owner::NONE || owner == Owner::CALL {
            skip_unknown(connection, object, cookie, direction, cause);
        }
    }
}

#[inline(always)]
fn skip_call(connection: &mut ConnectionState, transfer: &Transfer) {
    let cause = PassedCause::NOT_CAPTURED;
    skip_unknown(connection, transfer.object, transfer.cookie, transfer.direction, cause);
}
