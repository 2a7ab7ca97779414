//! The functions of TLS libraries: arguments are noted at entry, bytes are captured at return.
//!
//! A call is keyed by its process and the stack pointer it was entered with: that is one call in all threads, on coroutine
//! stacks too, and lets calls nest. A nested call on the same connection and direction (`SSL_read_ex` over `SSL_read` in
//! LibreSSL, `SSL_write_ex` over `SSL_write_ex2` in OpenSSL 3.3) returns first and reports the bytes; the outer one then
//! finds that the direction has moved since it began, and reports nothing.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_ktime_get_ns, generated::bpf_get_attach_cookie},
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_ebpf::{AddressKey, CIPHERTEXT_BYTES, CallState, Cookie, PassedCause, Role, TargetFlags};

use crate::{
    connection,
    identity::thread,
    lifecycle::traced_task,
    maps::CALLS,
    memory::read_user,
    operands::{argument, entry_sp, entry_sp_at_return},
    record::count,
    task::{Task, current_task},
};

/// In .rodata and not on the stack.
static NO_CALL: CallState = CallState::NEW;

/// Notes a read, a write, a handshake, or a descriptor being set.
#[uprobe]
pub(crate) fn call_entry(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task() {
        note_call(&ctx, task, flags);
    }
    0
}

/// Captures what a read or write moved, or notes the result of another call.
#[uretprobe]
pub(crate) fn call_return(ctx: RetProbeContext) -> u32 {
    let key = AddressKey::new(entry_sp_at_return(&ctx), current_task().tgid);
    if let Some(call) = CALLS.get_ptr_mut(&key) {
        // SAFETY: only this thread looks for the key, which is an address on its own stack. The loader removes a call only
        // when its thread has ended, or when another call was reported since; it never writes one.
        let call = unsafe { &mut *call };
        call.cookie = attach_cookie(ctx.as_ptr());
        if call.entered != 0 {
            thread::leave(call, key.address);
        }
        report(call, ctx.ret::<i64>());
        let _removed = CALLS.remove(&key);
    }
    0
}

/// Forgets the descriptor that was noted: another BIO takes its place.
#[uprobe]
pub(crate) fn bio_replaced(ctx: ProbeContext) -> u32 {
    if let Some((task, _)) = traced_task() {
        connection::forget_descriptor(argument::<0>(&ctx), task.tgid);
    }
    0
}

/// Remembers how the ciphertext begins that a TLS library hands to its BIO.
#[uprobe]
pub(crate) fn bio_write(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task()
        && flags.contains(TargetFlags::CIPHERTEXT)
        && (argument::<2>(&ctx) as i32) >= CIPHERTEXT_BYTES as i32
        && let Some(thread) = thread::current(task, entry_sp(&ctx))
    {
        connection::remember_ciphertext(thread, argument::<0>(&ctx), argument::<1>(&ctx));
    }
    0
}

/// Ends a connection, or begins it anew.
#[uprobe]
pub(crate) fn connection_end(ctx: ProbeContext) -> u32 {
    if let Some((task, _)) = traced_task() {
        let (object, cookie) = (argument::<0>(&ctx), attach_cookie(ctx.as_ptr()));
        if cookie.role() == Role::CLEAR {
            connection::clear(object, task.tgid, cookie);
        } else {
            connection::end(object, task.tgid, cookie);
        }
    }
    0
}

#[inline(always)]
fn note_call(ctx: &ProbeContext, task: Task, flags: TargetFlags) {
    let cookie = attach_cookie(ctx.as_ptr());
    let key = AddressKey::new(entry_sp(ctx), task.tgid);
    if matches!(cookie.role(), Role::WRITE_EARLY | Role::READ_EARLY) {
        connection::begin_early(argument::<0>(ctx), task.tgid, cookie);
        if cookie.role() == Role::READ_EARLY {
            return;
        }
    }
    if CALLS.insert(&key, &NO_CALL, 0).is_err() {
        // A call that never returned may be noted there; the return of this one must not find it.
        let _removed = CALLS.remove(&key);
        miss(task.tgid, argument::<0>(ctx), cookie);
        return;
    }
    let Some(call) = CALLS.get_ptr_mut(&key) else {
        return;
    };
    // All are read whatever the role: see `operands`.
    let (third, fourth, fifth) = (argument::<2>(ctx), argument::<3>(ctx), argument::<4>(ctx));
    let count = match cookie.role() {
        Role::READ_EX | Role::WRITE_EX => fourth,
        Role::WRITE_EX2 => fifth,
        _ => 0,
    };
    // SAFETY: as in [`call_return`].
    let call = unsafe { &mut *call };
    call.object = argument::<0>(ctx);
    call.buffer = argument::<1>(ctx);
    call.length = third;
    call.count = count;
    // SAFETY: the helper takes no arguments.
    call.began_ns = unsafe { bpf_ktime_get_ns() };
    call.tgid = task.tgid;
    call.tid = task.tid;
    call.cookie = cookie;
    if cookie.role() == Role::HANDSHAKE {
        connection::begin_handshake(call.object, call.tgid, cookie);
    }
    if flags.contains(TargetFlags::CIPHERTEXT) && cookie.role() != Role::SET_FD {
        call.entered = 1;
        thread::enter(call, key.address);
    }
}

/// Notes that the return of a call will not be seen: neither how many bytes it moves, nor which descriptor it sets.
#[inline(never)]
fn miss(tgid: u32, ssl: u64, cookie: Cookie) {
    count(cookie, |counters| &raw mut counters.call_table_full, 1);
    if cookie.role().moves_bytes() {
        connection::moved_unknown(ssl, tgid, cookie, PassedCause::NOT_CAPTURED);
    } else if cookie.role() == Role::SET_FD {
        connection::forget_descriptor(ssl, tgid);
    }
}

/// Reads the result as the C functions mean it: an `int`, for which the upper half of the register means nothing, but for
/// the count of `SSL_sendfile`.
#[inline(always)]
fn result_of(role: Role, register: i64) -> i64 {
    if role == Role::SENDFILE {
        register
    } else {
        (register as i32).into()
    }
}

#[inline(never)]
fn report(call: &mut CallState, register: i64) {
    let role = call.cookie.role();
    let result = result_of(role, register);
    if role == Role::WRITE_EARLY {
        connection::end_early(call);
        return;
    }
    if role == Role::HANDSHAKE {
        connection::advance_handshake(call, result == 1);
        return;
    }
    if result <= 0 {
        if role.moves_bytes() {
            connection::note_start(call);
        }
        return;
    }
    if role == Role::SET_FD {
        connection::note_descriptor(call);
        return;
    }
    match moved_bytes(call, result) {
        Some(0) => {}
        Some(moved) => {
            call.moved = moved;
            connection::moved(call);
        }
        None => {
            count(call.cookie, |counters| &raw mut counters.count_unreadable, 1);
            connection::moved_unknown(call.object, call.tgid, call.cookie, PassedCause::UNREADABLE);
        }
    }
}

/// Reads how many bytes a call moved; `None` if that cannot be read, or is more than it was given room for.
#[inline(always)]
fn moved_bytes(call: &CallState, result: i64) -> Option<u64> {
    if call.count == 0 {
        return Some(result as u64);
    }
    read_user(call.count).filter(|moved| *moved <= call.length)
}

/// Reads the cookie of the probe that fired.
#[inline(always)]
fn attach_cookie(ctx: *mut core::ffi::c_void) -> Cookie {
    // SAFETY: `ctx` is the context that the kernel gave to the program.
    Cookie(unsafe { bpf_get_attach_cookie(ctx) })
}
