//! The bytes of a connection, each reported once: by its calls, by a tap, or by a lift.
//!
//! One kind of hooks reports a direction of a connection. Where hooks at calls are in place beside a tap or a lift, what they
//! moved confirms what these have brought.

use tracer_ebpf::{
    CallState, ConnectionState, Cookie, Direction, FlushState, HooksRefused, Lift, LiftState, MAX_HIT_BYTES, Owner,
    PassedCause, RECORD_BYTES, Role, SiteOperands, TargetFlags, Transfer,
};

use crate::{
    capture,
    connection::{current, find, make_known, report_handshake, skip_unknown},
    flow::{self, Early},
    hooks::{self, Claim},
    lift,
    maps::SITES,
    operands::{self, UNREADABLE, of_site},
    passed,
    record::count,
    task::current_task,
};

/// Captures what a call moved, unless other hooks report its direction, or a call nested in it has already done so. Without
/// bytes at hand their number alone is reported: the function has no buffer, or the call repeats one that failed and gives
/// none.
#[inline(never)]
pub(crate) fn moved(call: &mut CallState, has_buffer: bool) {
    let transfer = &call.transfer;
    let Some(connection) = current(transfer.object, transfer.tgid, transfer.cookie) else {
        return;
    };
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

/// Returns whether the calls of a direction report it. A call whose bytes a tap or a lift should have brought, and that none
/// has, shows that these do not serve the connection.
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
                HooksRefused::MISMATCH,
            );
        }
        hooks::set_owner(hooks, transfer.direction, Owner::CALL);
        return true;
    }
    owner == Owner::CALL
}

#[inline(always)]
fn report_call(connection: &mut ConnectionState, call: &mut CallState, has_buffer: bool) {
    let early = flow::judge_early(&mut connection.flow, &call.transfer);
    if early == Early::Unknowable {
        skip_call(connection, &call.transfer);
        return;
    }
    call.transfer.early = (early == Early::Yes).into();
    make_known(connection, call.transfer.object);
    report_handshake(connection, call.transfer.object);
    if !has_buffer {
        passed::report_known(&mut call.transfer, &connection.flow, PassedCause::SENDFILE);
    } else if gives_no_bytes(call) {
        passed::report_known(&mut call.transfer, &connection.flow, PassedCause::NOT_CAPTURED);
    } else {
        capture::send_bytes(&mut call.transfer, &connection.flow);
    }
    flow::advance(&mut connection.flow, &call.transfer);
    flow::mark_call_reported(&mut connection.flow, &call.transfer);
    hooks::mark_reported(&mut connection.hooks, call.transfer.direction);
}

/// Compares what a call moved with what a tap or a lift has brought since it began; returns 0 if they brought nothing of it
/// and the call is to report it.
#[inline(never)]
fn confirm(connection: &mut ConnectionState, call: &CallState) -> u32 {
    let transfer = &call.transfer;
    if flow::reported_within(&connection.flow, transfer).is_some() {
        return 1;
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
    if hooks::confirm(&mut connection.hooks, transfer, brought, reached, connection.lift.bytes) == 0 {
        let cause = HooksRefused::MISMATCH;
        let (object, direction) = (transfer.object, transfer.direction);
        hooks::refuse(&mut connection.hooks, &connection.flow, object, direction, cause);
        if is_missing {
            return 0;
        }
        skip_call(connection, transfer);
    }
    flow::mark_reported(&mut connection.flow, transfer.direction, transfer.moved);
    1
}

/// Notes the position of a direction as a call of it begins, where a tap or a lift is to bring what the call moves.
#[inline(never)]
pub(crate) fn note_position(call: &mut CallState) {
    let transfer = &call.transfer;
    let Some(config) = SITES.get(transfer.cookie.site()) else {
        return;
    };
    if config.cheap_site(transfer.direction).is_none() {
        return;
    }
    let is_write = transfer.direction == Direction::WRITE;
    if let Some(connection) = find(transfer.object, transfer.tgid) {
        let owner = hooks::owner(&connection.hooks, transfer.direction);
        if owner == Owner::CALL || is_write && connection.lift.state == LiftState::UNBOUND {
            return;
        }
        call.position = flow::position(&connection.flow, transfer.direction);
    } else if is_write {
        return;
    }
    call.positioned = 1;
}

/// Captures what GnuTLS has taken from a write that fails for now: the call that sends it may have no bytes of its own, or
/// others, and its result is their number.
#[inline(always)]
pub(crate) fn refused(call: &mut CallState) {
    let transfer = &call.transfer;
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

/// Notes that a call moves bytes, or moved some, and that their number is unknown. What a tap or a lift brings needs no call.
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

/// Finds the connection of a tap's hit.
#[inline(never)]
pub(crate) fn connection_of<'a>(object: u64, cookie: Cookie) -> Option<&'a mut ConnectionState> {
    current(object, current_task().tgid, cookie)
}

/// Notes the bytes of a hit.
#[inline(always)]
pub(crate) fn begin_hit(connection: &mut ConnectionState, object: u64, cookie: Cookie, buffer: u64, bytes: u64) {
    let direction = direction_of(cookie);
    let transfer = &mut connection.passing[flow::side(direction)];
    transfer.object = object;
    transfer.buffer = buffer;
    transfer.recorded_ns = 0;
    transfer.cookie = cookie;
    transfer.moved = bytes;
    transfer.tgid = current_task().tgid;
    transfer.direction = direction;
}

/// Captures what a tap finds; without bytes it found a handshake's, or some that stay where they are, and its connection is
/// known from there on.
#[inline(never)]
pub(crate) fn tapped(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags) {
    let hit = &connection.passing[flow::side(direction)];
    let (object, bytes) = (hit.object, hit.moved);
    if bytes == 0 {
        make_known(connection, object);
        return;
    }
    if bytes > MAX_HIT_BYTES {
        give_up(connection, direction, flags, HooksRefused::IMPLAUSIBLE);
        return;
    }
    let is_uncompared = connection.lift.state == LiftState::BOUND && connection.lift.compared == 0;
    if is_uncompared && lift::writes_elsewhere(connection, object) != 0 {
        give_up_lift(connection, object, flags, HooksRefused::NO_SOCKET);
    }
    if claim(connection, direction, flags) != 0 {
        flow::mark_start_since_clearing(&mut connection.flow);
        report_hit(connection, direction);
    }
}

/// Captures the record that a connection sends now, if it is a new one and brings bytes of the program.
#[inline(never)]
pub(crate) fn sent(connection: &mut ConnectionState, object: u64, cookie: Cookie, sock: u64, flags: TargetFlags) {
    let Some(site) = of_site(cookie) else {
        return;
    };
    let sequence = lift::read(&mut connection.lift, object, cookie, site);
    if sequence == UNREADABLE {
        give_up_unread(connection, object, cookie, flags);
        return;
    }
    let is_elsewhere = operands::has_frame(site) && connection.lift.slot == 0;
    if is_elsewhere && sequence == connection.lift.sequence {
        // The rest of a record.
        return;
    }
    let held = operands::hold_behind(&connection.lift, object, site);
    let records = lift::advance(&mut connection.lift, sequence, held);
    if records == 0 {
        return;
    }
    begin_send(connection, object, cookie, site);
    if lift::has_strayed(connection, object, sock, site) != 0 {
        give_up(connection, Direction::WRITE, flags, HooksRefused::IMPLAUSIBLE);
        return;
    }
    send_records(connection, sock, flags, records);
}

#[inline(never)]
fn give_up_unread(connection: &mut ConnectionState, object: u64, cookie: Cookie, flags: TargetFlags) {
    begin_hit(connection, object, cookie, 0, 0);
    give_up(connection, Direction::WRITE, flags, HooksRefused::IMPLAUSIBLE);
}

/// Notes the bytes that are sent as records, if they are of the program. A function of its own, so that the frame of [`sent`]
/// stays small.
#[inline(never)]
fn begin_send(connection: &mut ConnectionState, object: u64, cookie: Cookie, site: &SiteOperands) {
    let (mut bytes, mut buffer) = (0, 0);
    if connection.lift.held != 0 {
        bytes = content_bytes(&connection.lift, object, site);
        buffer = operands::behind(&connection.lift, object, site, &site.buffer);
    }
    begin_hit(connection, object, cookie, buffer, bytes);
}

/// Reads how many bytes are sent as records; 0 if that is implausible. The first of them has some, and no more.
#[inline(always)]
fn content_bytes(lift: &Lift, object: u64, site: &SiteOperands) -> u64 {
    let bytes = operands::behind(lift, object, site, &site.count);
    if site.length.is_some() {
        let first = operands::behind(lift, object, site, &site.length);
        if first == 0 || first > bytes {
            return 0;
        }
    }
    bytes
}

#[inline(never)]
fn send_records(connection: &mut ConnectionState, sock: u64, flags: TargetFlags, records: u64) {
    let hit = &connection.passing[flow::side(Direction::WRITE)];
    let (object, buffer, bytes) = (hit.object, hit.buffer, hit.moved);
    if connection.lift.held == 0 {
        if lift::is_hole_of_others(connection, object, sock, records) != 0 {
            skip_hit(connection, Direction::WRITE);
        }
        return;
    }
    let cause = if bytes == 0 || bytes > MAX_HIT_BYTES || buffer == 0 || buffer == UNREADABLE {
        HooksRefused::IMPLAUSIBLE
    } else {
        lift::prove(connection, object, sock)
    };
    if cause.0 != 0 {
        give_up(connection, Direction::WRITE, flags, cause);
        return;
    }
    if claim(connection, Direction::WRITE, flags) == 0 {
        return;
    }
    if lift::is_hole(records, bytes) {
        skip_hit(connection, Direction::WRITE);
    }
    flow::mark_start_since_clearing(&mut connection.flow);
    connection.lift.bytes = bytes;
    report_hit(connection, Direction::WRITE);
}

/// Returns 1 if the hit of a tap or a lift reports its bytes. Where nobody does, or the call that has moved some of them will
/// not be seen to return, an unknown number of bytes has passed.
#[inline(never)]
fn claim(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags) -> u32 {
    let bytes = connection.passing[flow::side(direction)].moved;
    let claim = hooks::claim(&mut connection.hooks, direction, flags, bytes);
    if claim == Claim::AfterLoss || claim == Claim::Nobody {
        skip_hit(connection, direction);
    }
    (claim == Claim::Reports || claim == Claim::AfterLoss).into()
}

/// Leaves a direction to its calls: what the tap or the lift brings cannot be right. Where no hooks are at its calls, an
/// unknown number of bytes passes from here on.
#[inline(never)]
fn give_up(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags, cause: HooksRefused) {
    let hit = &connection.passing[flow::side(direction)];
    if cause == HooksRefused::IMPLAUSIBLE {
        count(hit.cookie, |counters| &raw mut counters.implausible, 1);
    }
    let had_reported = hooks::has_cheap_owner(&connection.hooks, direction);
    hooks::refuse(&mut connection.hooks, &connection.flow, hit.object, direction, cause);
    if had_reported || !flags.contains(TargetFlags::CALLS) {
        skip_hit(connection, direction);
    }
}

/// Moves a direction on to its next stretch, at a hit.
#[inline(always)]
fn skip_hit(connection: &mut ConnectionState, direction: Direction) {
    let hit = &connection.passing[flow::side(direction)];
    let (object, cookie) = (hit.object, hit.cookie);
    skip_unknown(connection, object, cookie, direction, PassedCause::NOT_CAPTURED);
}

/// Notes that a call begins that writes early data, which a lift does not see: it goes through a buffer.
#[inline(never)]
pub(crate) fn begin_early(object: u64, flags: TargetFlags, cookie: Cookie) {
    let Some(connection) = current(object, current_task().tgid, cookie) else {
        return;
    };
    flow::begin_early(&mut connection.flow);
    give_up_lift(connection, object, flags, HooksRefused::EARLY_DATA);
}

/// Leaves what a connection writes to its calls, if its library has a lift.
#[inline(always)]
fn give_up_lift(connection: &mut ConnectionState, object: u64, flags: TargetFlags, cause: HooksRefused) {
    if let Some(config) = SITES.get(flow::cookie(&connection.flow).site())
        && let Some(site) = config.cheap_site(Direction::WRITE)
        && !hooks::is_refused(&connection.hooks, Direction::WRITE)
    {
        begin_hit(connection, object, Cookie::new(site, Role::Write), 0, 0);
        give_up(connection, Direction::WRITE, flags, cause);
    }
}

/// Reports the bytes of a hit.
#[inline(always)]
fn report_hit(connection: &mut ConnectionState, direction: Direction) {
    let object = connection.passing[flow::side(direction)].object;
    make_known(connection, object);
    report_handshake(connection, object);
    let ConnectionState { flow, passing, .. } = connection;
    let transfer = &mut passing[flow::side(direction)];
    let early = flow::judge_early(flow, transfer);
    transfer.early = (early != Early::No).into();
    capture::send_bytes(transfer, flow);
    flow::advance(flow, transfer);
}

/// Returns the direction of the bytes of a tap or a lift.
#[inline(always)]
pub(crate) fn direction_of(cookie: Cookie) -> Direction {
    match cookie.role() {
        Some(role) => role.moves().unwrap_or(Direction::WRITE),
        None => Direction::WRITE,
    }
}
