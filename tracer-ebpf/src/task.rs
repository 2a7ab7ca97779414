//! The current thread, and what is kept of its process.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, pt_regs},
    helpers::{
        bpf_get_current_pid_tgid, bpf_ktime_get_ns,
        generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs},
    },
};
use tracer_ebpf::ProcessState;

use crate::{
    maps::{PROCESSES, SWITCH},
    memory::{read_field, read_kernel, read_user},
};

/// In .rodata and not on the stack.
static OF_UNKNOWN_AGE: ProcessState = ProcessState {
    since_ns: 0,
    pending: 0,
    unseen_ns: 0,
};

/// A thread.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) tgid: u32,
    pub(crate) tid: u32,
}

/// Returns the current thread, of a traced process or not.
#[inline(always)]
pub(crate) fn current_task() -> Task {
    let pid_tgid = bpf_get_current_pid_tgid();
    Task {
        tgid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
    }
}

/// Returns the stack pointer with which the current thread has entered the kernel by a system call.
///
/// Minimum kernel version: 5.15 (`bpf_task_pt_regs`).
#[inline(always)]
pub(crate) fn user_stack_pointer() -> Option<u64> {
    user_register(STACK_POINTER)
}

/// Returns what was in the register of Go's goroutine as the current thread has entered the kernel, as above.
#[inline(always)]
pub(crate) fn user_goroutine() -> Option<u64> {
    user_register(GOROUTINE)
}

/// Reads the word of the current thread's own memory that is so many bytes below the base of its segment `fs`; 0 if it cannot be
/// read. The kernel notes the base when the thread sets it by a system call, and whenever the thread leaves a CPU.
#[inline(never)]
pub(crate) fn thread_word(below: u64) -> u64 {
    // SAFETY: the helper takes no arguments.
    let task = unsafe { bpf_get_current_task() };
    let base: Option<u64> = read_field(task, |offsets| &raw const offsets.task_fsbase);
    let word = base.and_then(|base| read_user(base.wrapping_sub(below)));
    word.unwrap_or(0)
}

#[inline(always)]
fn user_register(offset: usize) -> Option<u64> {
    // SAFETY: the helper takes the current task, which the other one returns.
    let registers = unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) };
    read_kernel(registers as usize + offset)
}

/// From the registers of a thread to its stack pointer (`struct pt_regs` of the machine), and to the register that Go keeps
/// its goroutine in (`src/cmd/compile/abi-internal.md`, go1.27.3).
#[cfg(not(bpf_target_arch = "aarch64"))]
const STACK_POINTER: usize = core::mem::offset_of!(pt_regs, rsp);
#[cfg(bpf_target_arch = "aarch64")]
const STACK_POINTER: usize = core::mem::offset_of!(pt_regs, sp);
#[cfg(not(bpf_target_arch = "aarch64"))]
const GOROUTINE: usize = core::mem::offset_of!(pt_regs, r14);
#[cfg(bpf_target_arch = "aarch64")]
const GOROUTINE: usize = core::mem::offset_of!(pt_regs, regs) + 28 * size_of::<u64>();

/// Returns whether the probes may report: not before all are in place, and not after the tracer decided to end.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    match SWITCH.get_ptr(0) {
        // SAFETY: the loader may write the switch now. It is one word, so this reads the old or the new.
        Some(on) => unsafe { *on == 1 },
        None => false,
    }
}

/// Returns when a process began its program; 0 if that was before it was traced.
#[inline(never)]
pub(crate) fn since_ns(tgid: u32) -> u64 {
    match PROCESSES.get_ptr(&tgid) {
        // SAFETY: other CPUs only add to `pending`; `since_ns` is written before the value is in the table, and never
        // again.
        Some(process) => unsafe { (*process).since_ns },
        None => 0,
    }
}

/// Notes that a goroutine's call ended now of which the beginning was not seen; 0 if there is no room for that.
#[inline(never)]
pub(crate) fn note_unseen(tgid: u32) -> u32 {
    if keep(tgid) == 0 {
        return 0;
    }
    let Some(process) = PROCESSES.get_ptr_mut(&tgid) else {
        return 0;
    };
    // SAFETY: the helper takes no arguments.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    // SAFETY: other CPUs may write the word now. Any of the times is that of such a call.
    unsafe { write_volatile(&raw mut (*process).unseen_ns, now_ns) };
    1
}

/// Returns when a goroutine's call last ended of which the beginning was not seen; 0 for none.
#[inline(never)]
pub(crate) fn unseen_ns(tgid: u32) -> u64 {
    match PROCESSES.get_ptr(&tgid) {
        // SAFETY: other CPUs may write the word now, as a whole.
        Some(process) => unsafe { read_volatile(&raw const (*process).unseen_ns) },
        None => 0,
    }
}

/// Adds the state of a process that may have begun before it was traced; 0 if the table is full.
#[inline(never)]
pub(crate) fn keep(tgid: u32) -> u32 {
    let _inserted = PROCESSES.insert(&tgid, &OF_UNKNOWN_AGE, BPF_NOEXIST.into());
    PROCESSES.get_ptr(&tgid).is_some().into()
}
