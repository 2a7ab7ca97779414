//! Bytes of no interest, which are passed over: the loader announces up to which position those of a connection are.
//!
//! It announces when it has decoded what came before, so it is late by some bytes: those are copied, and those behind them are
//! skipped, from the middle of a call on or up to there. One record stands for the bytes of many calls. It is sent before
//! anything else of its direction, and when the skipped bytes end, which may be the end of a message.

use tracer_ebpf::{AddressKey, Flow, LOOKED_UP_BYTES, SKIPPED_BYTES, Transfer, WAKING_BYTES};

use crate::{
    flow::{self, side},
    maps::SKIPS,
    passed,
    record::wake,
};

/// Skips the first bytes of a transfer, as far as they are of no interest, and returns how many.
#[inline(never)]
pub(crate) fn pass_over(transfer: &Transfer, flow: &mut Flow) -> u64 {
    let direction = transfer.direction;
    let bytes = skippable(transfer, flow);
    let skipped = flow::add_skipped(flow, direction, bytes);
    if skipped != 0 {
        let end = flow::position(flow, direction) + bytes;
        if bytes < transfer.moved {
            passed::end_skipped(flow, transfer.object, transfer.cookie, direction, end);
        } else if skipped >= SKIPPED_BYTES || end == flow.skip_until[side(direction)] {
            let _full = passed::report_skipped(flow, transfer.object, transfer.cookie, direction, end);
        }
    }
    if bytes < transfer.moved {
        note_copied(transfer, flow, bytes);
    }
    bytes
}

/// Returns how many of the first bytes of a transfer are of no interest.
#[inline(always)]
fn skippable(transfer: &Transfer, flow: &mut Flow) -> u64 {
    let position = flow::position(flow, transfer.direction);
    let side = side(transfer.direction);
    if flow.skip_until[side] <= position && is_looked_up(position, transfer.moved) {
        look_up(transfer, flow);
    }
    let until = flow.skip_until[side];
    // The positions of early data may be taken back.
    if transfer.early != 0 || until <= position {
        return 0;
    }
    let left = until - position;
    if left < transfer.moved { left } else { transfer.moved }
}

/// Returns whether bytes behind a position reach the next multiple of [`LOOKED_UP_BYTES`].
#[inline(always)]
const fn is_looked_up(position: u64, bytes: u64) -> bool {
    position ^ position.wrapping_add(bytes) >= LOOKED_UP_BYTES
}

/// Looks up how far bytes of both directions are of no interest.
#[inline(never)]
fn look_up(transfer: &Transfer, flow: &mut Flow) {
    let Some(announced) = SKIPS.get_ptr(AddressKey::new(transfer.object, transfer.tgid)) else {
        return;
    };
    // SAFETY: the loader replaces values as a whole, and what is removed keeps its bytes or becomes another connection's
    // value, whose generation then differs. So does that of a value of which a part was replaced: it is written first.
    let announced = unsafe { *announced };
    if announced.generation == flow::generation(flow) {
        flow.skip_until = announced.until;
    }
}

/// Notes bytes that are copied, and wakes the reader if a body may have begun.
#[inline(always)]
fn note_copied(transfer: &Transfer, flow: &mut Flow, skipped: u64) {
    let side = side(transfer.direction);
    let before = if skipped != 0 || transfer.moved < LOOKED_UP_BYTES {
        0
    } else {
        flow.copied[side]
    };
    let copied = before + (transfer.moved - skipped);
    flow.copied[side] = copied;
    // Another highest bit: they have doubled.
    if copied >= WAKING_BYTES && copied ^ before > before {
        wake_reader();
    }
}

/// A function of its own, because it is rare.
#[inline(never)]
fn wake_reader() {
    wake();
}

/// Forgets what was announced of an object that is freed.
#[inline(always)]
pub(crate) fn forget(object: u64, tgid: u32) {
    let _removed = SKIPS.remove(AddressKey::new(object, tgid));
}
