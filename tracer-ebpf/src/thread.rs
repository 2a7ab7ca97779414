//! Which call of a TLS library a thread is in, for the processes whose ciphertext is looked for.
//!
//! In: the calls, as they begin and return. Out: the innermost call of a thread. A call that never returned, because a
//! jump or an exception left it, lies below a later one on the stack and is forgotten with it. On stacks that the
//! program switches itself an outer call may be forgotten too: then there is nothing to say, rather than something wrong.

use tracer_ebpf::{CallState, Cookie, ThreadState};

use crate::{lifecycle::count_total, maps::THREADS, scope::Task};

/// In .rodata and not on the stack.
static NONE: ThreadState = ThreadState {
    ssl: 0,
    entry_sp: 0,
    cookie: Cookie(0),
    tgid: 0,
    reserved: 0,
};

/// How far apart on the stack a call and one nested in it are at the most.
const DEPTH: u64 = 65536;

/// Notes that the thread is in a call now, and in the call which it was in before.
#[inline(never)]
pub(crate) fn enter(call: *mut CallState, entry_sp: u64) {
    // SAFETY: the caller hands over a live map value that belongs to this call alone.
    let call = unsafe { &mut *call };
    let thread = match THREADS.get_ptr_mut(&call.tid) {
        Some(thread) => {
            // SAFETY: a live map value; only this thread writes it.
            let outer = unsafe { &*thread };
            if outer.tgid == call.tgid && outer.entry_sp > entry_sp && outer.entry_sp - entry_sp < DEPTH {
                call.outer.ssl = outer.ssl;
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
    thread.ssl = call.ssl;
    thread.entry_sp = entry_sp;
    thread.cookie = call.cookie;
    thread.tgid = call.tgid;
}

#[inline(always)]
fn insert(tid: u32) -> Option<*mut ThreadState> {
    let _inserted = THREADS.insert(&tid, &NONE, 0);
    THREADS.get_ptr_mut(&tid)
}

/// Notes that the thread has returned to the call which it was in before, if any.
#[inline(never)]
pub(crate) fn leave(call: *const CallState, entry_sp: u64) {
    // SAFETY: the caller hands over a live map value that belongs to this call alone.
    let call = unsafe { &*call };
    let Some(thread) = THREADS.get_ptr_mut(&call.tid) else {
        return;
    };
    // SAFETY: a live map value; only this thread writes it.
    let thread = unsafe { &mut *thread };
    if thread.tgid != call.tgid || thread.entry_sp != entry_sp {
        return;
    }
    if call.outer.ssl == 0 {
        let _removed = THREADS.remove(&call.tid);
        return;
    }
    thread.ssl = call.outer.ssl;
    thread.entry_sp = call.outer.entry_sp;
    thread.cookie = call.outer.cookie;
}

/// The call that a function, entered with this stack pointer, is part of.
#[inline(always)]
pub(crate) fn current(task: Task, sp: u64) -> Option<*const ThreadState> {
    let thread = THREADS.get_ptr(&task.tid)?;
    // SAFETY: a live map value; only this thread writes it.
    let state = unsafe { &*thread };
    let within = state.entry_sp > sp && state.entry_sp - sp < DEPTH;
    (state.tgid == task.tgid && within).then_some(thread)
}
