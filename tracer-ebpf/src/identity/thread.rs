//! The innermost call of a TLS library that a thread is in, for processes whose ciphertext is matched.
//!
//! A call that never returned, because a jump or an exception left it, lies below a later one on the stack and is dropped
//! with it. On stacks that the program switches itself an outer call may be dropped too: then the ciphertext within it
//! matches no connection, rather than a wrong one.

use tracer_ebpf::{CallState, Cookie, TargetFlags, ThreadState};

use super::Way;
use crate::{maps::THREADS, record::count_total, target, task::Task};

/// In .rodata and not on the stack.
static NONE: ThreadState = ThreadState::NONE;

/// Maximum distance on the stack between a call and one nested in it.
const DEPTH: u64 = 65536;

/// Notes that the thread is in a call now; the call keeps which one the thread was in before.
#[inline(never)]
pub(crate) fn enter(call: *mut CallState, entry_sp: u64) {
    // SAFETY: only this thread holds its call, until the call returns.
    let call = unsafe { &mut *call };
    let thread = match THREADS.get_ptr_mut(&call.tid) {
        Some(thread) => {
            // SAFETY: only this thread uses the value; the loader removes it when the thread has ended.
            let outer = unsafe { &*thread };
            if outer.tgid == call.transfer.tgid && outer.entry_sp > entry_sp && outer.entry_sp - entry_sp < DEPTH {
                call.outer.object = outer.object;
                call.outer.entry_sp = outer.entry_sp;
                call.outer.cookie = outer.cookie;
            }
            Some(thread)
        }
        None => insert(call.tid),
    };
    let Some(thread) = thread else {
        count_total(|totals| &raw mut totals.thread_table_full);
        return;
    };
    // SAFETY: as above.
    let thread = unsafe { &mut *thread };
    thread.object = call.transfer.object;
    thread.entry_sp = entry_sp;
    thread.cookie = call.transfer.cookie;
    thread.tgid = call.transfer.tgid;
}

/// Notes that the thread is in a call whose end is not seen, and which keeps its return address there on the stack. Later
/// calls below another place on the stack are not within it; what they hand to a BIO is compared with the connection's own.
#[inline(never)]
pub(super) fn note(task: Task, object: u64, slot: u64, cookie: Cookie) {
    if !target::flags_of_current(task.tgid).is_some_and(|flags| flags.contains(TargetFlags::CIPHERTEXT)) {
        return;
    }
    let Some(thread) = THREADS.get_ptr_mut(&task.tid).or_else(|| insert(task.tid)) else {
        count_total(|totals| &raw mut totals.thread_table_full);
        return;
    };
    // SAFETY: as in [`enter`].
    let thread = unsafe { &mut *thread };
    thread.object = object;
    thread.entry_sp = slot;
    thread.cookie = cookie;
    thread.tgid = task.tgid;
}

#[inline(always)]
fn insert(tid: u32) -> Option<*mut ThreadState> {
    Way::WithinCall.prepare();
    let _inserted = THREADS.insert(&tid, &NONE, 0);
    THREADS.get_ptr_mut(&tid)
}

/// Notes that the thread has returned to the call that it was in before, if any.
#[inline(never)]
pub(crate) fn leave(call: *const CallState, entry_sp: u64) {
    // SAFETY: only this thread holds its call, until the call returns.
    let call = unsafe { &*call };
    let Some(thread) = THREADS.get_ptr_mut(&call.tid) else {
        return;
    };
    // SAFETY: only this thread uses the value; the loader removes it when the thread has ended.
    let thread = unsafe { &mut *thread };
    if thread.tgid != call.transfer.tgid || thread.entry_sp != entry_sp {
        return;
    }
    if call.outer.object == 0 {
        let _removed = THREADS.remove(&call.tid);
        return;
    }
    thread.object = call.outer.object;
    thread.entry_sp = call.outer.entry_sp;
    thread.cookie = call.outer.cookie;
}

/// Returns whether a thread may be in a call, at less cost than its stack pointer.
#[inline(always)]
pub(super) fn is_in_call(task: Task) -> bool {
    THREADS.get_ptr(&task.tid).is_some()
}

/// Returns the call that a function, entered with this stack pointer, is part of.
#[inline(always)]
pub(crate) fn current(task: Task, sp: u64) -> Option<*const ThreadState> {
    let thread = THREADS.get_ptr(&task.tid)?;
    // SAFETY: as in [`enter`].
    let state = unsafe { &*thread };
    let within = state.entry_sp > sp && state.entry_sp - sp < DEPTH;
    (state.tgid == task.tgid && within).then_some(thread)
}
