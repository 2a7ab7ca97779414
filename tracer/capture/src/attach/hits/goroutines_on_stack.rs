//! Calls of goroutines as Go up to 1.16 makes them: the goroutine is in memory of the thread, arguments and results are on the
//! stack, and the entry is probed at the jump of code whose stack has to grow.

use std::{arch::naked_asm, path::Path};

use tracer_ebpf::CallEnd;

use super::*;
use crate::attach::kernel::Kernel;

/// What the runtime of Go keeps of a goroutine begins with the bounds of its stack.
#[repr(C)]
struct Goroutine {
    low: u64,
    top: u64,
}

/// Enters a call: the goroutine is below the thread's own memory, and the jump is taken if there is no room.
#[unsafe(naked)]
extern "C" fn enter(goroutine: *const Goroutine, stack: *const u64, room: u64) {
    naked_asm!(
        "mov rax, qword ptr fs:[-8]",
        "mov qword ptr fs:[-8], rdi",
        "mov r11, rsp",
        "mov rsp, rsi",
        "test rdx, rdx",
        "jbe 2f",
        "2:",
        "mov rsp, r11",
        "mov qword ptr fs:[-8], rax",
        "ret",
    )
}

/// Leaves it.
#[unsafe(naked)]
extern "C" fn leave(goroutine: *const Goroutine, stack: *const u64) {
    naked_asm!(
        "mov rax, qword ptr fs:[-8]",
        "mov qword ptr fs:[-8], rdi",
        "mov r11, rsp",
        "mov rsp, rsi",
        "nop",
        "mov rsp, r11",
        "mov qword ptr fs:[-8], rax",
        "ret",
    )
}

/// Where the probes go, and what is there: `jbe`, and `nop`.
const ENTRY: (usize, u8) = (27, 0x76);
const EXIT: (usize, u8) = (24, 0x90);

/// The condition of a jump that is not taken: above.
const ABOVE: u8 = 7;

/// A word of the stack, counted from its pointer.
const fn on_stack(offset: i16) -> Operand {
    Operand {
        loads: [offset, Operand::UNKNOWN],
        ..Operand::at(Place::register(7), Width::U64)
    }
}

const CALL: SiteOperands = SiteOperands {
    object: on_stack(8),
    buffer: on_stack(16),
    length: on_stack(24),
    count: Operand::result(Width::S64),
    result: Operand::result(Width::S64),
    ..SiteOperands::OBJECT
};

/// Probes the functions above.
fn probed(role: Role) -> Own {
    for (function, (offset, byte)) in [(enter as *const (), ENTRY), (leave as *const (), EXIT)] {
        // SAFETY: the byte is one of a function above, which nobody writes.
        let found = unsafe { *function.cast::<u8>().wrapping_add(offset) };
        assert_eq!(found, byte);
    }
    let offsets = Kernel::describe(Path::new("/sys/kernel/btf/vmlinux")).offsets;
    let mut own = Own::load_on(offsets, TargetFlags::default());
    let config = SiteConfig {
        goroutine_below: 8,
        version: 2,
        ..SiteConfig::NONE
    };
    let site = own.site(config, CALL);
    let cookie = Cookie::new(site, role);
    let begin = cookie.with_end(CallEnd::default().when(ABOVE));
    let end = cookie.with_end(CallEnd::of_stack(5));
    own.attach(Program::GoroutineExit, leave as *const () as usize + EXIT.0, end);
    own.attach(Program::GoroutineEntry, enter as *const () as usize + ENTRY.0, begin);
    own
}

/// A stack of a goroutine, with a call's return address, its arguments and its results somewhere in the middle.
struct Stack([u64; 64]);

const CALLED_AT: usize = 32;

impl Stack {
    fn called_with(object: &[u16; 2], bytes: &[u8], result: u64) -> Self {
        let mut stack = Self([0; 64]);
        let length = bytes.len() as u64;
        let arguments = [object.as_ptr() as u64, bytes.as_ptr() as u64, length, length, result];
        stack.0[CALLED_AT + 1..CALLED_AT + 6].copy_from_slice(&arguments);
        stack
    }

    fn goroutine(&self) -> Goroutine {
        let memory = self.0.as_ptr_range();
        Goroutine {
            low: memory.start as u64,
            top: memory.end as u64,
        }
    }

    fn pointer(&self) -> *const u64 {
        &raw const self.0[CALLED_AT]
    }
}

/// What the data records of all connections bring.
fn moved(own: &mut Own) -> Vec<Vec<u8>> {
    let records = own.records();
    let moved = records.iter().filter(|record| header(record).kind == Kind::DATA);
    moved.map(|record| data(record).2.to_vec()).collect()
}

/// A connection whose version is known.
const CONNECTION: [u16; 2] = [0, 0x303];

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn arguments_and_results_on_the_stack_are_read_where_the_goroutine_is_in_memory_of_the_thread() {
    let mut own = probed(Role::Read);
    let stack = Stack::called_with(&CONNECTION, b"bytes", 3);
    let mut goroutine = stack.goroutine();
    black_box(enter)(&raw const goroutine, stack.pointer(), 1);
    // The stack moves, and another thread goes on.
    let moved_to = Stack::called_with(&CONNECTION, b"bytes", 3);
    goroutine = moved_to.goroutine();
    std::thread::scope(|scope| {
        scope.spawn(|| black_box(leave)(&raw const goroutine, moved_to.pointer()));
    });
    assert_eq!(moved(&mut own), [b"byt"]);
    // The call has ended.
    black_box(leave)(&raw const goroutine, moved_to.pointer());
    assert_eq!(moved(&mut own), [[0; 0]; 0]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_write_that_begins_anew_on_a_stack_that_has_grown_is_captured_once() {
    let mut own = probed(Role::Write);
    let stack = Stack::called_with(&CONNECTION, b"bytes", 5);
    let goroutine = stack.goroutine();
    black_box(enter)(&raw const goroutine, stack.pointer(), 0);
    assert_eq!(moved(&mut own), [[0; 0]; 0], "there was no room");
    black_box(enter)(&raw const goroutine, stack.pointer(), 1);
    assert_eq!(moved(&mut own), [b"bytes"]);
    black_box(leave)(&raw const goroutine, stack.pointer());
    assert_eq!(own.records().len(), 0);
}
