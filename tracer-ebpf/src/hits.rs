//! Hits of taps and lifts: one hit, of a probe or of a send of the connection's socket, has all that a record needs.

use tracer_ebpf::{
    ConnectionState, Cookie, Direction, HooksRefused, Lift, LiftState, MAX_HIT_BYTES, MAX_WRITE_BYTES, PassedCause,
    Role, SiteOperands, TargetFlags, Transfer,
};

use crate::{
    capture,
    connection::{current, make_known, report_handshake, skip_unknown},
    early_data::{self, Early},
    flow,
    hooks::{self, Claim},
    lift,
    maps::SITES,
    operands::{self, UNREADABLE, of_site},
    record::count,
    task::current_task,
};

/// Returns what a hit of a direction captures.
#[inline(always)]
fn passing(connection: &mut ConnectionState, direction: Direction) -> &mut Transfer {
    &mut connection.passing[flow::side(direction)]
}

/// Notes the bytes of a hit.
#[inline(always)]
pub(crate) fn begin_hit(connection: &mut ConnectionState, object: u64, cookie: Cookie, buffer: u64, bytes: u64) {
    let direction = direction_of(cookie);
    let transfer = passing(connection, direction);
    transfer.object = object;
    transfer.buffer = buffer;
    transfer.recorded_ns = 0;
    transfer.cookie = cookie;
    transfer.moved = bytes;
    if transfer.tgid == 0 {
        // A connection stays in its process.
        transfer.tgid = current_task().tgid;
    }
    transfer.direction = direction;
    transfer.is_noted = 0;
}

/// Notes the next bytes of the hit of a direction.
#[inline(always)]
pub(crate) fn set_bytes(connection: &mut ConnectionState, direction: Direction, buffer: u64, bytes: u64) {
    let transfer = passing(connection, direction);
    transfer.buffer = buffer;
    transfer.moved = bytes;
    transfer.recorded_ns = 0;
    transfer.is_noted = 0;
}

/// Captures the bytes of a tap's hit. A hit without bytes, of a handshake or of `SSL_peek`, only introduces the connection.
#[inline(never)]
pub(crate) fn tapped(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags) {
    let hit = passing(connection, direction);
    let (object, bytes) = (hit.object, hit.moved);
    if bytes == 0 {
        make_known(connection, object);
        return;
    }
    let most = if direction == Direction::READ {
        MAX_HIT_BYTES
    } else {
        MAX_WRITE_BYTES
    };
    if bytes > most {
        give_up(connection, direction, flags, HooksRefused::IMPLAUSIBLE);
        return;
    }
    if claim(connection, direction, flags) != 0 {
        if direction == Direction::WRITE {
            connection.lift.bytes = bytes;
        }
        flow::mark_start_since_clearing(&mut connection.flow);
        report_hit(connection, direction, flags);
    }
    // Comes last, because giving the lift up takes the place of the hit.
    let is_uncompared = connection.lift.state == LiftState::BOUND && connection.lift.compared == 0;
    if is_uncompared {
        let cause = lift::compare(connection, object);
        if cause.0 != 0 {
            give_up_lift(connection, object, flags, cause);
        }
    }
}

/// Captures the record that a connection is sending, if it is new and carries application data.
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

/// Notes the bytes of the records that are being sent; none if these are not application data. A function of its own, so
/// that the frame of [`sent`] stays small.
#[inline(never)]
fn begin_send(connection: &mut ConnectionState, object: u64, cookie: Cookie, site: &SiteOperands) {
    let (mut bytes, mut buffer) = (0, 0);
    if connection.lift.held != 0 {
        bytes = content_bytes(&connection.lift, object, site);
        buffer = operands::behind(&connection.lift, object, site, &site.buffer);
    }
    begin_hit(connection, object, cookie, buffer, bytes);
}

/// Reads how many bytes the records hold that are being sent; 0 if the number is implausible. Where the length of the first
/// record is known, it must not be 0 or exceed that number.
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
    let hit = passing(connection, Direction::WRITE);
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
    report_hit(connection, Direction::WRITE, flags);
}

/// Returns 1 if a hit reports its bytes. If no hook reports them, or bytes left to a call are lost, the direction moves on by
/// an unknown number of bytes.
#[inline(never)]
fn claim(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags) -> u32 {
    let hit = passing(connection, direction);
    let (object, bytes) = (hit.object, hit.moved);
    hooks::send_unsent(&mut connection.hooks, &connection.flow, object);
    let claim = hooks::claim(&mut connection.hooks, &connection.flow, direction, flags, bytes);
    if claim == Claim::AfterLoss || claim == Claim::Nobody {
        skip_hit(connection, direction);
    }
    (claim == Claim::Reports || claim == Claim::AfterLoss).into()
}

/// Refuses the tap or the lift of a direction. If it reported the direction so far, or the calls are not probed, the
/// direction moves on by an unknown number of bytes.
#[inline(never)]
fn give_up(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags, cause: HooksRefused) {
    let hit = passing(connection, direction);
    let (object, cookie) = (hit.object, hit.cookie);
    if cause == HooksRefused::IMPLAUSIBLE {
        count(cookie, |counters| &raw mut counters.implausible, 1);
    }
    let had_reported = hooks::has_cheap_owner(&connection.hooks, direction);
    hooks::refuse(&mut connection.hooks, &connection.flow, object, direction, cause);
    if had_reported || !hooks::has_calls(&connection.flow, direction, flags) {
        skip_hit(connection, direction);
    }
}

/// Moves a direction on to its next stretch, at a hit.
#[inline(always)]
fn skip_hit(connection: &mut ConnectionState, direction: Direction) {
    let hit = passing(connection, direction);
    let (object, cookie) = (hit.object, hit.cookie);
    skip_unknown(connection, object, cookie, direction, PassedCause::NOT_CAPTURED);
}

/// Notes that a call begins that writes early data. A lift does not see these bytes, which a buffer holds until later.
#[inline(never)]
pub(crate) fn begin_early(object: u64, flags: TargetFlags, cookie: Cookie) {
    let Some(connection) = current(object, current_task().tgid, cookie) else {
        return;
    };
    early_data::begin_early(&mut connection.flow);
    give_up_lift(connection, object, flags, HooksRefused::EARLY_DATA);
}

/// Refuses the lift of a connection, if its library has one. Overwrites the hit that is being captured.
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
fn report_hit(connection: &mut ConnectionState, direction: Direction, flags: TargetFlags) {
    let object = passing(connection, direction).object;
    make_known(connection, object);
    report_handshake(connection, object);
    let ConnectionState { flow, passing, .. } = connection;
    let transfer = &mut passing[flow::side(direction)];
    let early = early_data::judge_early(flow, transfer);
    transfer.early = (early != Early::No).into();
    capture::send_bytes(transfer, flow);
    if flags.has_calls(direction) {
        hooks::note_beginning(transfer, flow::position(flow, direction));
    }
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
