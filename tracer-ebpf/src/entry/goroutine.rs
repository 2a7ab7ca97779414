//! The functions of Go's TLS where no tap is proven: operands are noted at entry, what is read is captured at the exits.
//!
//! Go is never probed at a return, because the runtime reads return addresses when it moves a stack. A call is keyed by its
//! process, its goroutine, and how far below the top of the goroutine's stack it was entered: that is one call in all
//! goroutines, wherever they run and wherever their stacks are by now, and lets calls nest, as those of TLS within TLS do. A
//! function that begins anew, because its stack had to grow, finds its own key and takes the entry's place.
//!
//! What a write hands over is captured as it begins, like what reaches a tap: the answer may be read before the write returns.
//!
//! A goroutine that ends within a call, by a panic or `runtime.Goexit`, passes no exit. What is noted of the call stays until
//! the next call with its key, or until the loader removes it.

use aya_ebpf::{EbpfContext as _, helpers::bpf_ktime_get_ns, macros::uprobe, programs::ProbeContext};
use tracer_ebpf::{AddressKey, CallState, Cookie, Direction, PassedCause, Role, SiteOperands};

use super::{attach_cookie, ignore, read_object};
use crate::{
    calls,
    goroutine::Goroutine,
    lifecycle::traced_task,
    maps::CALLS,
    operands::{self, of_site},
    record::count,
    target,
    task::{current_task, is_on, note_unseen},
};

/// In .rodata and not on the stack.
static NO_CALL: CallState = CallState::NEW;

/// A read or a write begins.
#[uprobe]
pub(crate) fn goroutine_entry(ctx: ProbeContext) -> u32 {
    if let Some((task, _)) = traced_task() {
        let cookie = attach_cookie(ctx.as_ptr());
        match of_site(cookie) {
            // Else its stack has to grow first, and it begins anew.
            Some(site) if operands::is_end(&ctx, cookie.end()) => begin(&ctx, task.tgid, cookie, site),
            Some(_) => {}
            None => ignore(),
        }
    }
    0
}

/// It is about to return, with a number that does not change any more.
#[uprobe]
pub(crate) fn goroutine_exit(ctx: ProbeContext) -> u32 {
    let cookie = attach_cookie(ctx.as_ptr());
    let end = cookie.end();
    if operands::is_end(&ctx, end)
        && let Some(goroutine) = Goroutine::current(&ctx, cookie)
    {
        finish(cookie, goroutine, operands::result_at_exit(&ctx, end));
    }
    0
}

#[inline(always)]
fn begin(ctx: &ProbeContext, tgid: u32, cookie: Cookie, site: &SiteOperands) {
    let mut key = AddressKey::new(0, 0);
    if find_key(ctx, &mut key, tgid, cookie) == 0 {
        return ignore();
    }
    if CALLS.insert(&key, &NO_CALL, 0).is_err() {
        // A call that never returned may be noted there; the end of this one must not find it.
        let _removed = CALLS.remove(&key);
        return miss(ctx, tgid, cookie.of_site(), site);
    }
    let Some(call) = CALLS.get_ptr_mut(&key) else {
        return;
    };
    // SAFETY: as in [`finish`].
    let call = unsafe { &mut *call };
    call.transfer.tgid = tgid;
    call.transfer.cookie = cookie.of_site();
    if note_operands(ctx, call, site) == 0 {
        let _removed = CALLS.remove(&key);
        return;
    }
    if call.transfer.direction == Direction::WRITE && call.length != 0 {
        calls::begin_write(call);
    }
}

/// Finds the key of the call that begins; 0 if the stack pointer is not on the stack of a goroutine. A function of its own, like
/// the next one, so that the frame of the program stays small.
#[inline(never)]
fn find_key(ctx: &ProbeContext, key: &mut AddressKey, tgid: u32, cookie: Cookie) -> u32 {
    let Some(goroutine) = Goroutine::current(ctx, cookie) else {
        return 0;
    };
    *key = goroutine.key(tgid, cookie.depth());
    1
}

/// Notes the operands of a call; 0 if it has no object or its function moves no bytes.
#[inline(never)]
fn note_operands(ctx: &ProbeContext, call: &mut CallState, site: &SiteOperands) -> u32 {
    let object = read_object(ctx, site);
    let Some(direction) = call.transfer.cookie.role().and_then(Role::moves) else {
        return 0;
    };
    if object == 0 {
        return 0;
    }
    call.transfer.object = object;
    call.transfer.direction = direction;
    call.transfer.buffer = operands::buffer(ctx, site);
    call.length = operands::length(ctx, site);
    let goroutine = Goroutine::current(ctx, call.transfer.cookie);
    let below_top = goroutine.and_then(|goroutine| goroutine.below_top(call.transfer.buffer));
    call.below_top = below_top.unwrap_or(0);
    if site.code_distance != 0 {
        call.code = operands::address(ctx).wrapping_add(i64::from(site.code_distance) as u64);
    }
    // SAFETY: the helper takes no arguments.
    call.transfer.began_ns = unsafe { bpf_ktime_get_ns() };
    1
}

/// Notes that the end of a call will not be seen.
#[inline(never)]
fn miss(ctx: &ProbeContext, tgid: u32, cookie: Cookie, site: &SiteOperands) {
    count(cookie, |counters| &raw mut counters.call_table_full, 1);
    let object = read_object(ctx, site);
    if object != 0
        && let Some(direction) = cookie.role().and_then(Role::moves)
    {
        calls::moved_unknown(object, tgid, cookie, direction, PassedCause::NOT_CAPTURED);
    }
}

/// Reports a call, if it is one of the site's: another function's that never returned may have had the same key.
#[inline(always)]
fn finish(cookie: Cookie, goroutine: Goroutine, moved: i64) {
    let tgid = current_task().tgid;
    let key = goroutine.key(tgid, cookie.depth());
    if let Some(call) = CALLS.get_ptr_mut(&key)
        // SAFETY: only one thread at a time runs the goroutine, and only the goroutine looks for the key. The loader removes a
        // call only when its process has ended, or when later calls show that it has; it never writes one.
        && let call = unsafe { &mut *call }
        && call.transfer.cookie.site() == cookie.site()
    {
        if call.reported_ns != 0 {
            calls::end_write(call, moved);
        } else if moved > 0 {
            // Bytes may come with an error, such as the end of the stream.
            call.transfer.moved = moved as u64;
            if call.below_top != 0 {
                call.transfer.buffer = goroutine.address(call.below_top);
            }
            calls::moved_by_goroutine(call);
        }
        let _removed = CALLS.remove(&key);
    } else if moved > 0 && is_on() && target::flags_of_current(tgid).is_some() && note_unseen(tgid) == 0 {
        ignore();
    }
}
