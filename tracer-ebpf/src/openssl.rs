//! OpenSSL's entry points: the arguments are noted at entry, the bytes are captured at return.
//!
//! A call is known by its process and the stack pointer it was entered with: that is one call in all threads, on
//! coroutine stacks too, and lets calls nest. A nested call on the same connection and direction (`SSL_read_ex` over
//! `SSL_read` in LibreSSL, `SSL_write_ex` over `SSL_write_ex2` in OpenSSL 3.3) returns first and reports the bytes; the
//! outer one then finds that the connection has moved since it began, and says nothing.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_ktime_get_ns, generated::bpf_get_attach_cookie},
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_ebpf::{AddressKey, CallState, Cookie, PassedCause, Role, TargetFlags, ThreadState};

use crate::{
    capture, connection, early, handshake,
    maps::CALLS,
    memory::read_user,
    passed,
    registers::{argument, entry_sp, entry_sp_at_return},
    scope::{Task, current_task, traced_task},
    thread,
};

/// In .rodata and not on the stack.
static NO_CALL: CallState = CallState {
    ssl: 0,
    buffer: 0,
    length: 0,
    count: 0,
    began_ns: 0,
    cookie: Cookie(0),
    moved: 0,
    wanted: 0,
    done: 0,
    early: 0,
    entered: 0,
    outer: ThreadState {
        ssl: 0,
        entry_sp: 0,
        cookie: Cookie(0),
        tgid: 0,
        reserved: 0,
    },
    tgid: 0,
    tid: 0,
};

/// Notes a read, a write, a handshake, or a descriptor being set.
#[uprobe]
pub(crate) fn call_entry(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task() {
        note_call(&ctx, task, flags);
    }
    0
}

/// Captures what a read or write moved, or notes the descriptor that was set, or that a handshake is done.
#[uretprobe]
pub(crate) fn call_return(ctx: RetProbeContext) -> u32 {
    let key = AddressKey::new(entry_sp_at_return(&ctx), current_task().tgid);
    if let Some(call) = CALLS.get_ptr_mut(&key) {
        // SAFETY: a live map value; it belongs to this call alone until it is removed below.
        unsafe { (*call).cookie = attach_cookie(ctx.as_ptr()) };
        // SAFETY: as above.
        if unsafe { (*call).entered } != 0 {
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
        connection::forget_descriptor(task.tgid, argument::<0>(&ctx));
    }
    0
}

/// Ends a connection.
#[uprobe]
pub(crate) fn connection_end(ctx: ProbeContext) -> u32 {
    if let Some((task, _)) = traced_task() {
        connection::end(task.tgid, argument::<0>(&ctx), attach_cookie(ctx.as_ptr()));
    }
    0
}

#[inline(always)]
fn note_call(ctx: &ProbeContext, task: Task, flags: TargetFlags) {
    let cookie = attach_cookie(ctx.as_ptr());
    let key = AddressKey::new(entry_sp(ctx), task.tgid);
    if matches!(cookie.role(), Role::WRITE_EARLY | Role::READ_EARLY) {
        early::begin(argument::<0>(ctx), task.tgid, cookie);
        if cookie.role() == Role::READ_EARLY {
            return;
        }
    }
    if CALLS.insert(&key, &NO_CALL, 0).is_err() {
        // Should a call be noted there that was never seen to return, then this one's return may not find it.
        let _removed = CALLS.remove(&key);
        miss(task.tgid, argument::<0>(ctx), cookie);
        return;
    }
    let Some(call) = CALLS.get_ptr_mut(&key) else {
        return;
    };
    // All are read whatever the role: see `registers`.
    let (third, fourth, fifth) = (argument::<2>(ctx), argument::<3>(ctx), argument::<4>(ctx));
    let count = match cookie.role() {
        Role::READ_EX | Role::WRITE_EX => fourth,
        Role::WRITE_EX2 => fifth,
        _ => 0,
    };
    // SAFETY: a live map value; it belongs to this call alone until its return.
    let call = unsafe { &mut *call };
    call.ssl = argument::<0>(ctx);
    call.buffer = argument::<1>(ctx);
    call.length = third;
    call.count = count;
    // SAFETY: the helper takes no arguments.
    call.began_ns = unsafe { bpf_ktime_get_ns() };
    call.tgid = task.tgid;
    call.tid = task.tid;
    call.cookie = cookie;
    if cookie.role() == Role::HANDSHAKE {
        handshake::begin(call.ssl, call.tgid, cookie);
    }
    if flags.contains(TargetFlags::CIPHERTEXT) && cookie.role() != Role::SET_FD {
        call.entered = 1;
        thread::enter(call, key.address);
    }
}

/// Notes that a call is not seen to return: what it moves, nobody knows; the descriptor it sets, neither.
#[inline(never)]
fn miss(tgid: u32, ssl: u64, cookie: Cookie) {
    capture::count(cookie, |counters| &raw mut counters.call_table_full, 1);
    if cookie.role().moves_bytes() {
        passed::note_unknown(ssl, tgid, cookie, PassedCause::NOT_CAPTURED);
    } else if cookie.role() == Role::SET_FD {
        connection::forget_descriptor(tgid, ssl);
    }
}

/// Reads the result as the C functions mean it: an `int`, of which the upper half of the register says nothing, but for
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
fn report(call: *mut CallState, register: i64) {
    // SAFETY: the caller hands over a live map value that belongs to this call alone.
    let call = unsafe { &mut *call };
    let role = call.cookie.role();
    let result = result_of(role, register);
    if role == Role::WRITE_EARLY {
        early::end(call);
        return;
    }
    if role == Role::HANDSHAKE {
        handshake::advance(call, result == 1);
        return;
    }
    if result <= 0 {
        if role.moves_bytes() {
            connection::note_start(call);
        }
        return;
    }
    if role == Role::SET_FD {
        connection::note_descriptor(call.tgid, call.ssl, call.buffer as i32, call.cookie);
        return;
    }
    match moved_bytes(call, result) {
        Some(0) => {}
        Some(moved) => {
            call.moved = moved;
            capture::capture(call);
        }
        None => {
            capture::count(call.cookie, |counters| &raw mut counters.count_unreadable, 1);
            passed::note_unknown(call.ssl, call.tgid, call.cookie, PassedCause::UNREADABLE);
        }
    }
}

/// Reads how many bytes a call moved; `None` where that cannot be read, or is more than it was given or asked for.
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
    // SAFETY: `ctx` is the context the kernel handed to the program.
    Cookie(unsafe { bpf_get_attach_cookie(ctx) })
}
