//! The functions of TLS libraries: operands are noted at entry, bytes are captured at return, or at an exit.
//!
//! What a function does and where its operands are comes from the site of the probe, so no program knows a library. A call
//! is keyed by its process and the stack pointer it was entered with: that is one call in all threads, on coroutine stacks
//! too, and lets calls nest. A nested call on the same connection and direction (`SSL_read_ex` over `SSL_read` in LibreSSL,
//! `SSL_write_ex` over `SSL_write_ex2` in OpenSSL 3.3) returns first and reports the bytes; the outer one then finds that
//! the direction has moved since it began, and reports nothing.
//!
//! An exit is an instruction that calls pass with their result in its register, so that no return probe is needed. A call that
//! fails may pass none: what is noted of it stays until the next call with its key.

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_ktime_get_ns,
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_ebpf::{
    AddressKey, CIPHERTEXT_BYTES, CallState, Cookie, Direction, FlushState, Operand, PassedCause, Place, Role,
    SiteOperands, Success, TargetFlags,
};

use super::{attach_cookie, ignore, read_object};
use crate::{
    calls, connection, hits,
    identity::thread,
    lifecycle::traced_task,
    maps::CALLS,
    operands::{self, call_key, call_key_at_return, of_site},
    record::count,
    task::{Task, current_task},
};

/// In .rodata and not on the stack.
static NO_CALL: CallState = CallState::NEW;

/// A read, a write, a handshake, or another function whose result matters begins.
#[uprobe]
pub(crate) fn call_entry(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task() {
        let cookie = attach_cookie(ctx.as_ptr());
        match (cookie.role(), of_site(cookie)) {
            (Some(role), Some(site)) => begin(&ctx, task, flags, cookie, role, site),
            (None, _) | (_, None) => ignore(),
        }
    }
    0
}

/// Such a function returns.
#[uretprobe]
pub(crate) fn call_return(ctx: RetProbeContext) -> u32 {
    let key = AddressKey::new(call_key_at_return(&ctx), current_task().tgid);
    finish(key, attach_cookie(ctx.as_ptr()), |operand| {
        operands::result(&ctx, operand)
    });
    0
}

/// Such a function is about to return, with a result that does not change any more.
#[uprobe]
pub(crate) fn call_exit(ctx: ProbeContext) -> u32 {
    let cookie = attach_cookie(ctx.as_ptr());
    let end = cookie.end();
    if operands::is_end(&ctx, end) {
        let key = AddressKey::new(call_key(&ctx, cookie), current_task().tgid);
        finish(key, cookie, |_| operands::result_at_exit(&ctx, end));
    }
    0
}

/// Reports a call, if it is one of the site's: another function's that never returned may have had the same key.
#[inline(always)]
fn finish(key: AddressKey, cookie: Cookie, result: impl FnOnce(&Operand) -> i64) {
    if let Some(call) = CALLS.get_ptr_mut(&key) {
        // SAFETY: only this thread looks for the key, which is an address on its own stack. The loader removes a call only
        // when its thread has ended, or when another call was reported since; it never writes one.
        let call = unsafe { &mut *call };
        if call.transfer.cookie.site() != cookie.site() {
            return;
        }
        if call.entered != 0 {
            thread::leave(call, key.address);
        }
        if let Some(site) = of_site(call.transfer.cookie) {
            report(call, site, result(&site.result));
        }
        let _removed = CALLS.remove(&key);
    }
}

/// The connection gets another BIO, so the descriptor that was noted is outdated.
#[uprobe]
pub(crate) fn bio_replaced(ctx: ProbeContext) -> u32 {
    if let Some((task, _)) = traced_task()
        && let Some((_, object)) = object_at(&ctx)
    {
        connection::forget_descriptor(object, task.tgid);
    }
    0
}

/// A TLS library hands ciphertext to its BIO.
#[uprobe]
pub(crate) fn bio_write(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task()
        && flags.contains(TargetFlags::CIPHERTEXT)
        && let cookie = attach_cookie(ctx.as_ptr())
        && let Some(thread) = thread::current(task, call_key(&ctx, cookie))
        && let Some(site) = of_site(cookie)
        && operands::length(&ctx, site) as i64 >= CIPHERTEXT_BYTES as i64
    {
        connection::remember_ciphertext(thread, operands::object(&ctx, site), operands::buffer(&ctx, site));
    }
    0
}

/// A connection ends, or its object is cleared for another one.
#[uprobe]
pub(crate) fn connection_end(ctx: ProbeContext) -> u32 {
    if let Some((task, _)) = traced_task()
        && let Some((cookie, object)) = object_at(&ctx)
    {
        match cookie.role() {
            Some(Role::Clear) => connection::clear(object, task.tgid, cookie),
            Some(Role::End) => connection::end(object, task.tgid, cookie),
            Some(
                Role::Read
                | Role::Write
                | Role::Sendfile
                | Role::Descriptor
                | Role::Bio
                | Role::Handshake
                | Role::Ciphertext
                | Role::EarlyWrite
                | Role::EarlyRead
                | Role::Flush,
            )
            | None => ignore(),
        }
    }
    0
}

/// Reads the object of a call that needs no other operand.
#[inline(always)]
fn object_at(ctx: &ProbeContext) -> Option<(Cookie, u64)> {
    let cookie = attach_cookie(ctx.as_ptr());
    let object = read_object(ctx, of_site(cookie)?);
    (object != 0).then_some((cookie, object))
}

#[inline(always)]
fn begin(ctx: &ProbeContext, task: Task, flags: TargetFlags, cookie: Cookie, role: Role, site: &SiteOperands) {
    match role {
        Role::Read | Role::Write | Role::Sendfile | Role::Handshake => {}
        Role::Descriptor if site.result.is_some() => {}
        Role::EarlyWrite
        | Role::EarlyRead
        | Role::Flush
        | Role::Descriptor
        | Role::Bio
        | Role::End
        | Role::Clear
        | Role::Ciphertext => {
            if begin_other(ctx, task.tgid, flags, cookie, site) == 0 {
                return;
            }
        }
    }
    let key = AddressKey::new(call_key(ctx, cookie), task.tgid);
    let cookie = cookie.of_site();
    if CALLS.insert(&key, &NO_CALL, 0).is_err() {
        // A call that never returned may be noted there; the return of this one must not find it.
        let _removed = CALLS.remove(&key);
        miss(read_object(ctx, site), task.tgid, cookie, role);
        return;
    }
    let Some(call) = CALLS.get_ptr_mut(&key) else {
        return;
    };
    // SAFETY: as in [`finish`].
    let call = unsafe { &mut *call };
    call.transfer.tgid = task.tgid;
    call.tid = task.tid;
    call.transfer.cookie = cookie;
    call.transfer.direction = role.moves().unwrap_or(Direction::WRITE);
    call.transfer.object = read_object(ctx, site);
    if call.transfer.object == 0 {
        let _removed = CALLS.remove(&key);
        return;
    }
    if operands::has_no_guard(site) || operands::hold(ctx, site) {
        call.transfer.buffer = operands::buffer(ctx, site);
        call.length = operands::length(ctx, site);
    } else if role == Role::Read {
        // It leaves its bytes to be read again.
        let _removed = CALLS.remove(&key);
        return;
    }
    call.count = operands::place_of_count(ctx, site);
    // SAFETY: the helper takes no arguments.
    call.transfer.began_ns = unsafe { bpf_ktime_get_ns() };
    if role == Role::Handshake {
        connection::begin_handshake(call.transfer.object, call.transfer.tgid, call.transfer.cookie);
    }
    if (role == Role::Read || role == Role::Write) && flags.has_calls(call.transfer.direction) {
        calls::note_position(call);
    }
    if flags.contains(TargetFlags::CIPHERTEXT) && role != Role::Descriptor {
        call.entered = 1;
        thread::enter(call, key.address);
    }
}

/// Handles the entry of rare calls; returns 0 if their return does not matter.
#[inline(never)]
fn begin_other(ctx: &ProbeContext, tgid: u32, flags: TargetFlags, cookie: Cookie, site: &SiteOperands) -> u32 {
    let object = read_object(ctx, site);
    if object == 0 {
        return 0;
    }
    match cookie.role() {
        Some(Role::EarlyWrite) => {
            hits::begin_early(object, flags, cookie);
            return 1;
        }
        Some(Role::Flush) => {
            connection::set_flushing(object, tgid, cookie, FlushState::WITHIN);
            return 1;
        }
        Some(Role::EarlyRead) => connection::read_early(object, tgid, cookie),
        Some(Role::Descriptor) => {
            connection::note_descriptor(object, tgid, cookie, operands::buffer(ctx, site) as u32);
        }
        Some(
            Role::Read
            | Role::Write
            | Role::Sendfile
            | Role::Handshake
            | Role::Bio
            | Role::End
            | Role::Clear
            | Role::Ciphertext,
        )
        | None => ignore(),
    }
    0
}

/// Notes that the return of a call will not be seen: neither how many bytes it moves, nor which descriptor it sets.
#[inline(never)]
fn miss(object: u64, tgid: u32, cookie: Cookie, role: Role) {
    count(cookie, |counters| &raw mut counters.call_table_full, 1);
    if object == 0 {
        return;
    }
    if let Some(direction) = role.moves() {
        calls::moved_unknown(object, tgid, cookie, direction, PassedCause::NOT_CAPTURED);
    } else if role == Role::Descriptor {
        connection::forget_descriptor(object, tgid);
    } else if role == Role::Flush {
        connection::set_flushing(object, tgid, cookie, FlushState::UNKNOWN);
    }
}

/// The socket takes no more now: GnuTLS keeps what it took from the call.
const GNUTLS_E_AGAIN: i64 = -28;

/// The same, because of a signal.
const GNUTLS_E_INTERRUPTED: i64 = -52;

/// Reports what a call did, by its result.
#[inline(always)]
fn report(call: &mut CallState, site: &SiteOperands, result: i64) {
    let succeeded = result > 0 || result == 0 && site.success == Success::NOT_NEGATIVE;
    match call.transfer.cookie.role() {
        Some(Role::Read | Role::Write | Role::Sendfile) if succeeded => report_bytes(call, site, result),
        Some(Role::Write) if result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED => calls::refused(call),
        Some(Role::Read | Role::Write | Role::Sendfile) => connection::note_start(call),
        Some(Role::Descriptor) => {
            if succeeded {
                connection::note_descriptor(
                    call.transfer.object,
                    call.transfer.tgid,
                    call.transfer.cookie,
                    call.transfer.buffer as u32,
                );
            }
        }
        Some(Role::Handshake) => connection::advance_handshake(call, succeeded),
        Some(Role::EarlyWrite) => connection::end_early(call),
        Some(Role::Flush) => {
            connection::set_flushing(
                call.transfer.object,
                call.transfer.tgid,
                call.transfer.cookie,
                FlushState::NONE,
            );
        }
        // Their calls are not noted.
        Some(Role::Bio | Role::End | Role::Clear | Role::Ciphertext | Role::EarlyRead) | None => {}
    }
}

#[inline(always)]
fn report_bytes(call: &mut CallState, site: &SiteOperands, result: i64) {
    match moved_bytes(call, &site.count, result) {
        Some(0) => {}
        Some(moved) => {
            call.transfer.moved = moved;
            calls::moved(call, site.buffer.is_some());
        }
        None => {
            count(call.transfer.cookie, |counters| &raw mut counters.count_unreadable, 1);
            let cause = PassedCause::UNREADABLE;
            calls::moved_unknown(
                call.transfer.object,
                call.transfer.tgid,
                call.transfer.cookie,
                call.transfer.direction,
                cause,
            );
        }
    }
}

/// Reads how many bytes a call moved; `None` if that cannot be read, or is more than it was given room for.
/// A call without any room may move what an earlier one gave.
#[inline(always)]
fn moved_bytes(call: &CallState, operand: &Operand, result: i64) -> Option<u64> {
    let moved = if operand.place == Place::RESULT {
        result as u64
    } else {
        operands::follow(call.count, operand)?
    };
    (moved <= call.length || calls::gives_no_bytes(call)).then_some(moved)
}
