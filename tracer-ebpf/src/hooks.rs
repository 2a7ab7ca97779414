//! Which hooks report a direction of a connection, and whether the hooks at its calls confirm the bytes of a tap or a lift.
//!
//! The first hooks that capture bytes of a direction own it: they report it. A tap or a lift that cannot capture a
//! connection, or whose byte counts differ from those of the calls, is refused: the hooks at calls own the direction from
//! then on. The loader is woken, because it may have to attach probes at the calls first; if the ring has no room for the
//! record that wakes it, a later hit or call of the connection sends it. A tap or a lift that was not
//! refused takes a direction over once the probes at calls are detached.

use tracer_ebpf::{
    ConnectionState, Cookie, Direction, Flow, Hooks, HooksRecord, HooksRefused, Kind, MAX_DOUBTS, Owner, Role, STRETCH,
    TargetFlags, Transfer,
};

use crate::{
    flow::{self, fill_header, side},
    maps::SITES,
    memory::read_user,
    record::{count, reserve_end, submit_and_wake},
};

/// Which hook reports the bytes of a hit.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Claim {
    /// The hit itself.
    Reports,
    /// The hit itself. Bytes of earlier hits were left to a call whose return is not probed any more: they are lost.
    AfterLoss,
    /// The return of the call.
    Call,
    /// None: the tap or the lift is refused, and the calls are not probed.
    Nobody,
}

/// Returns which hooks report a direction.
#[inline(always)]
pub(crate) fn owner(hooks: &Hooks, direction: Direction) -> Owner {
    hooks.owners[side(direction)]
}

/// Returns whether a tap or a lift reports a direction.
#[inline(always)]
pub(crate) fn has_cheap_owner(hooks: &Hooks, direction: Direction) -> bool {
    let owner = owner(hooks, direction);
    owner == Owner::TAP || owner == Owner::LIFT
}

/// Returns whether the tap or the lift of a direction is refused.
#[inline(always)]
pub(crate) fn is_refused(hooks: &Hooks, direction: Direction) -> bool {
    hooks.refused[side(direction)] != 0
}

/// Sets which hooks report a direction.
#[inline(always)]
pub(crate) fn set_owner(hooks: &mut Hooks, direction: Direction, owner: Owner) {
    hooks.owners[side(direction)] = owner;
}

/// Clears the count of bytes that hits left to a call, which has now reported them.
#[inline(always)]
pub(crate) fn mark_reported(hooks: &mut Hooks, direction: Direction) {
    hooks.unreported[side(direction)] = 0;
}

/// Returns which hook reports the bytes of a hit: of a tap if the direction is read; of a lift, or of a tap in its place, if it
/// is written.
#[inline(always)]
pub(crate) fn claim(hooks: &mut Hooks, flow: &Flow, direction: Direction, flags: TargetFlags, bytes: u64) -> Claim {
    let side = side(direction);
    if hooks.owners[side] == Owner::CALL {
        let is_refused = hooks.refused[side] != 0;
        if flags.has_calls(direction) || is_refused && has_calls(flow, direction, flags) {
            hooks.unreported[side] += bytes;
            return Claim::Call;
        }
        if is_refused {
            return Claim::Nobody;
        }
    }
    hooks.owners[side] = if direction == Direction::READ {
        Owner::TAP
    } else {
        Owner::LIFT
    };
    if hooks.unreported[side] == 0 {
        return Claim::Reports;
    }
    hooks.unreported[side] = 0;
    Claim::AfterLoss
}

/// Returns whether the calls of a direction are probed where the tap or the lift does not serve a connection: in its process, or
/// in every one. A process that has just begun its program is not examined yet, and connects.
#[inline(always)]
pub(crate) fn has_calls(flow: &Flow, direction: Direction, flags: TargetFlags) -> bool {
    flags.has_calls(direction)
        || SITES
            .get(flow::cookie(flow).site())
            .is_some_and(|config| config.has_calls(direction))
}

/// Leaves a direction to the calls without a record: the loader itself has given the tap or the lift up.
#[inline(always)]
pub(crate) fn retire(hooks: &mut Hooks, direction: Direction) {
    let side = side(direction);
    hooks.owners[side] = Owner::CALL;
    hooks.refused[side] = HooksRefused::MISMATCH.0;
}

/// Refuses the tap or the lift of a direction, and asks the loader to probe the calls. Sends one record per connection and
/// direction.
#[inline(never)]
pub(crate) fn refuse(hooks: &mut Hooks, flow: &Flow, object: u64, direction: Direction, cause: HooksRefused) {
    let side = side(direction);
    hooks.owners[side] = Owner::CALL;
    if hooks.refused[side] != 0 {
        return;
    }
    hooks.refused[side] = cause.0 | Hooks::UNSENT;
    if cause == HooksRefused::MISMATCH {
        count_mismatch(flow, direction);
    }
    send(hooks, flow, object, direction);
}

/// Sends the records of refusals that found no room in the ring.
#[inline(always)]
pub(crate) fn send_unsent(hooks: &mut Hooks, flow: &Flow, object: u64) {
    let [read, written] = hooks.refused;
    if read & Hooks::UNSENT != 0 {
        send(hooks, flow, object, Direction::READ);
    }
    if written & Hooks::UNSENT != 0 {
        send(hooks, flow, object, Direction::WRITE);
    }
}

/// Sends the record of a refusal, if the ring has room for it.
#[inline(never)]
fn send(hooks: &mut Hooks, flow: &Flow, object: u64, direction: Direction) {
    let Some(mut entry) = reserve_end::<HooksRecord>() else {
        return;
    };
    let side = side(direction);
    hooks.refused[side] &= !Hooks::UNSENT;
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, flow, object, flow::cookie(flow)) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::HOOKS;
    record.header.direction = direction;
    record.cause = HooksRefused(hooks.refused[side]);
    record.reserved = [0; 7];
    submit_and_wake(entry);
}

#[inline(always)]
fn count_mismatch(flow: &Flow, direction: Direction) {
    if let Some(config) = SITES.get(flow::cookie(flow).site())
        && let Some(site) = config.cheap_site(direction)
    {
        let cookie = Cookie::new(site, Role::Read);
        count(cookie, |counters| &raw mut counters.mismatches, 1);
    }
}

/// Returns whether no byte of a call was captured by a hit, while all bytes of the calls before it were.
#[inline(always)]
pub(crate) fn is_missing(hooks: &Hooks, direction: Direction, brought: u64, reached: u64) -> bool {
    let side = side(direction);
    brought == 0 && (direction == Direction::READ || hooks.settled[side] != 0 && hooks.confirmed[side] == reached)
}

/// Returns whether the calls of a direction are known to agree with its hits.
#[inline(always)]
pub(crate) fn is_settled(hooks: &Hooks, direction: Direction) -> bool {
    hooks.settled[side(direction)] != 0
}

/// Compares how many bytes a call moved with how many (`brought`) hits captured while it ran; 0 if they differ.
///
/// For a read, both numbers must be equal. For a write, hits may have captured a part during an earlier call that failed,
/// and the last captured record, of `pending` bytes, may belong to a call that has not succeeded yet. So the bytes of
/// writes are summed from the first call whose numbers are equal.
#[inline(never)]
pub(crate) fn confirm(hooks: &mut Hooks, transfer: &Transfer, brought: u64, reached: u64, pending: u64) -> u32 {
    let side = side(transfer.direction);
    if brought >= STRETCH {
        hooks.settled[side] = 0;
        return 1;
    }
    if brought == transfer.moved {
        hooks.settled[side] = 1;
        hooks.doubts[side] = 0;
        hooks.confirmed[side] = reached;
        return 1;
    }
    if transfer.direction == Direction::READ {
        return 0;
    }
    if hooks.settled[side] == 0 {
        hooks.doubts[side] += 1;
        return (hooks.doubts[side] < MAX_DOUBTS).into();
    }
    hooks.confirmed[side] += transfer.moved;
    let ahead = reached.wrapping_sub(hooks.confirmed[side]);
    (ahead <= pending).into()
}

/// Notes with which bytes a captured hit begins, for the call around it, in the place of what is no longer needed. Fewer
/// than a word has are not compared.
#[inline(always)]
pub(crate) fn note_beginning(hit: &mut Transfer, position: u64) {
    if hit.moved >= size_of::<u64>() as u64 {
        hit.buffer = read_user(hit.buffer).unwrap_or(0);
        hit.wanted = position;
        hit.is_noted = 1;
    }
}

/// Returns 1 if the bytes that a call has in its buffer are others than those of the last hit within it, which captured as
/// many bytes as the call moved. `began` is the position of the first of them.
///
/// A write is compared only if the calls before it have confirmed all bytes of hits: else these may be of the next call.
#[inline(never)]
pub(crate) fn differs(connection: &ConnectionState, transfer: &Transfer, began: u64) -> u32 {
    let side = side(transfer.direction);
    let ConnectionState { hooks, passing, .. } = connection;
    let hit = &passing[side];
    let is_in_step = hooks.settled[side] != 0 && hooks.confirmed[side] == began;
    if transfer.direction == Direction::WRITE && !is_in_step {
        return 0;
    }
    if hit.is_noted == 0 || hit.wanted < began {
        return 0;
    }
    let into = hit.wanted - began;
    if into >= transfer.moved {
        return 0;
    }
    match read_user::<u64>(transfer.buffer + into) {
        Some(word) => (word != hit.buffer).into(),
        None => 0,
    }
}

/// Resets the state for another connection of the same object.
#[inline(always)]
pub(crate) fn reset(hooks: &mut Hooks) {
    *hooks = Hooks::NEW;
}
