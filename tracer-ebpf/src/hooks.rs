//! Which hooks report a direction of a connection, and whether those at its calls confirm what a tap or a lift brings.
//!
//! The first hooks that bring bytes of a direction report it. A tap or a lift leaves it to hooks at calls for good once these
//! have found a mismatch, or once it is known not to serve the connection; the loader is woken then, since no hooks may be at
//! calls yet. It takes a direction over from them once they are gone.

use tracer_ebpf::{
    Cookie, Direction, Flow, Hooks, HooksRecord, HooksRefused, Kind, MAX_DOUBTS, Owner, Role, STRETCH, TargetFlags,
    Transfer,
};

use crate::{
    flow::{self, fill_header, side},
    maps::SITES,
    record::{count, count_total, reserve_end, submit_and_wake},
};

/// Who reports the bytes of a hit.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Claim {
    /// The hit itself.
    Reports,
    /// The hit itself, and the return of the call that moved bytes before it will not be seen.
    AfterLoss,
    /// The call.
    Call,
    /// Nobody: the tap or the lift does not serve the connection, and no hooks are at its calls.
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

/// Returns whether a tap or a lift was found not to serve a direction.
#[inline(always)]
pub(crate) fn is_refused(hooks: &Hooks, direction: Direction) -> bool {
    hooks.refused[side(direction)] != 0
}

/// Notes which hooks report a direction.
#[inline(always)]
pub(crate) fn set_owner(hooks: &mut Hooks, direction: Direction, owner: Owner) {
    hooks.owners[side(direction)] = owner;
}

/// Notes that a call has reported what it moved, and so what a tap or a lift saw of it.
#[inline(always)]
pub(crate) fn mark_reported(hooks: &mut Hooks, direction: Direction) {
    hooks.unreported[side(direction)] = 0;
}

/// Returns who reports the bytes of a hit of a tap, which reads, or of a lift, which writes.
#[inline(always)]
pub(crate) fn claim(hooks: &mut Hooks, direction: Direction, flags: TargetFlags, bytes: u64) -> Claim {
    let side = side(direction);
    if hooks.owners[side] == Owner::CALL {
        let has_calls = flags.contains(TargetFlags::CALLS);
        if has_calls {
            hooks.unreported[side] += bytes;
            return Claim::Call;
        }
        if hooks.refused[side] != 0 {
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

/// Leaves a direction to hooks at its calls, and asks the loader for them.
#[inline(never)]
pub(crate) fn refuse(hooks: &mut Hooks, flow: &Flow, object: u64, direction: Direction, cause: HooksRefused) {
    let side = side(direction);
    hooks.owners[side] = Owner::CALL;
    if hooks.refused[side] != 0 {
        return;
    }
    hooks.refused[side] = 1;
    if cause == HooksRefused::MISMATCH {
        count_mismatch(flow, direction);
    }
    let Some(mut entry) = reserve_end::<HooksRecord>() else {
        count_total(|totals| &raw mut totals.lifecycle_ring_full);
        return;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: only this program can reach the reservation before it is submitted.
    unsafe { fill_header(&raw mut (*record).header, flow, object, flow::cookie(flow)) };
    // SAFETY: as above; any bytes are a record.
    let record = unsafe { &mut *record };
    record.header.kind = Kind::HOOKS;
    record.header.direction = direction;
    record.cause = cause;
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

/// Returns whether nothing of what a call moved was brought, while all before it was.
#[inline(always)]
pub(crate) fn is_missing(hooks: &Hooks, direction: Direction, brought: u64, reached: u64) -> bool {
    let side = side(direction);
    brought == 0 && (direction == Direction::READ || hooks.settled[side] != 0 && hooks.confirmed[side] == reached)
}

/// Compares what a call moved with what was brought while it ran; 0 if they differ.
///
/// A call that reads has moved just what was brought. One that writes may have been brought in part while an earlier call
/// failed, and the last record that was brought, of `pending` bytes, may be of a call that has not succeeded yet. So writes
/// are added up, from the first call on that agrees by itself.
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

/// Begins anew: another connection uses the object.
#[inline(always)]
pub(crate) fn reset(hooks: &mut Hooks) {
    *hooks = Hooks::NEW;
}
