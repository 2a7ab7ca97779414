//! The registers of the thread that hit a probe, on each machine.
//!
//! The verifier allows a program to read its context at constant offsets only, so a register is chosen by a switch whose
//! every arm reads one. Reads are volatile: otherwise the compiler would choose the address and read once.

use core::ptr::read_volatile;

use aya_ebpf::bindings::pt_regs;
use tracer_ebpf::Place;

#[cfg(bpf_target_arch = "aarch64")]
use crate::memory::forgotten;

/// Reads a register; 0 if the place is none.
///
/// # Safety
///
/// `regs` must be the register set that the kernel handed to the program.
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub(crate) unsafe fn register(regs: *const pt_regs, place: Place) -> u64 {
    macro_rules! read {
        ($($field:ident: $($place:literal)|+;)*) => {
            match place.0 {
                // SAFETY: the caller vouches for `regs`, which nobody writes while the program runs.
                $($($place)|+ => unsafe { read_volatile(&raw const (*regs).$field) },)*
                _ => 0,
            }
        };
    }
    read!(
        rdi: 0 | 21;
        rsi: 1 | 20;
        rdx: 2 | 17;
        rcx: 3 | 18;
        r8: 4 | 24;
        r9: 5 | 25;
        rax: 16;
        rbx: 19;
        rbp: 22;
        rsp: 23;
        r10: 26;
        r11: 27;
        r12: 28;
        r13: 29;
        r14: 30;
        r15: 31;
    )
}

/// Reads a register; 0 if the place is none.
///
/// # Safety
///
/// `regs` must be the register set that the kernel handed to the program.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn register(regs: *const pt_regs, place: Place) -> u64 {
    macro_rules! read {
        ($($number:literal: $($place:literal)|+;)*) => {
            match place.0 {
                // The compiler would make one read of all arms, whose registers are elements of one array.
                // SAFETY: the caller vouches for `regs`, which nobody writes while the program runs.
                $($($place)|+ => forgotten(unsafe { read_volatile(&raw const (*regs).regs[$number]) }),)*
                // SAFETY: as above.
                47 => unsafe { stack_pointer(regs) },
                _ => 0,
            }
        };
    }
    read!(
        0: 0 | 16; 1: 1 | 17; 2: 2 | 18; 3: 3 | 19; 4: 4 | 20; 5: 5 | 21; 6: 6 | 22; 7: 7 | 23;
        8: 24; 9: 25; 10: 26; 11: 27; 12: 28; 13: 29; 14: 30; 15: 31; 16: 32; 17: 33; 18: 34; 19: 35;
        20: 36; 21: 37; 22: 38; 23: 39; 24: 40; 25: 41; 26: 42; 27: 43; 28: 44; 29: 45; 30: 46;
    )
}

/// Reads the stack pointer.
///
/// # Safety
///
/// As for [`register`].
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn stack_pointer(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).sp) }
}

/// Reads the stack pointer.
///
/// # Safety
///
/// As for [`register`].
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub(crate) unsafe fn stack_pointer(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).rsp) }
}

/// Reads the address of the probed instruction.
///
/// # Safety
///
/// As for [`register`].
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn instruction_pointer(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).pc) }
}

/// Reads the address of the probed instruction.
///
/// # Safety
///
/// As for [`register`].
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub(crate) unsafe fn instruction_pointer(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).rip) }
}

/// Reads the register in which code of Go keeps its goroutine.
///
/// # Safety
///
/// As for [`register`].
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn goroutine_register(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).regs[28]) }
}

/// Reads the register in which code of Go keeps its goroutine.
///
/// # Safety
///
/// As for [`register`].
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub(crate) unsafe fn goroutine_register(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).r14) }
}

/// Reads the flags.
///
/// # Safety
///
/// As for [`register`].
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub(crate) unsafe fn flags(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).eflags) }
}

/// Reads the flags.
///
/// # Safety
///
/// As for [`register`].
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) unsafe fn flags(regs: *const pt_regs) -> u64 {
    // SAFETY: the caller vouches for `regs`.
    unsafe { read_volatile(&raw const (*regs).pstate) }
}
