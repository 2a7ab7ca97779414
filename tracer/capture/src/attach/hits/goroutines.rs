//! Calls of goroutines: they end on other threads, and their stacks move.

use std::arch::naked_asm;

use tracer_ebpf::CallEnd;

use super::*;

/// What the runtime of Go keeps of a goroutine begins with the bounds of its stack.
#[repr(C)]
struct Goroutine {
    low: u64,
    top: u64,
}

/// Enters a call as code of Go does: the goroutine in its register, on a stack of its own.
#[unsafe(naked)]
extern "C" fn enter(goroutine: *const Goroutine, stack: u64, object: u64, buffer: u64, room: u64) {
    naked_asm!(
        "push r14",
        "mov r14, rdi",
        "mov r11, rsp",
        "mov rsp, rsi",
        "nop",
        "mov rsp, r11",
        "pop r14",
        "ret",
    )
}

/// Leaves it with a result.
#[unsafe(naked)]
extern "C" fn leave(goroutine: *const Goroutine, stack: u64, result: i64) {
    naked_asm!(
        "push r14",
        "mov r14, rdi",
        "mov rax, rdx",
        "mov r11, rsp",
        "mov rsp, rsi",
        "nop",
        "mov rsp, r11",
        "pop r14",
        "ret",
    )
}

/// Where the probes go.
const ENTRY: usize = 11;
const EXIT: usize = 14;

const READ: SiteOperands = SiteOperands {
    object: Operand::argument(2, Width::U64),
    buffer: Operand::argument(3, Width::U64),
    length: Operand::argument(4, Width::U64),
    count: Operand::result(Width::S64),
    result: Operand::result(Width::S64),
    ..SiteOperands::OBJECT
};

/// A stack of a goroutine, which lies anywhere in memory.
struct Stack([u8; 4096]);

impl Stack {
    fn new() -> Box<Self> {
        Box::new(Self([0; 4096]))
    }

    fn top(&self) -> u64 {
        self.0.as_ptr_range().end as u64
    }

    fn goroutine(&self) -> Goroutine {
        Goroutine {
            low: self.0.as_ptr() as u64,
            top: self.top(),
        }
    }

    /// Puts bytes on it, so far below its top; returns their address.
    fn put(&mut self, below_top: usize, bytes: &[u8]) -> u64 {
        let at = self.0.len() - below_top;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self.top() - u64::try_from(below_top).unwrap()
    }
}

/// Probes the functions above as a read.
fn probed() -> Own {
    probed_as(Role::Read, SiteConfig::NONE)
}

fn probed_as(role: Role, config: SiteConfig) -> Own {
    for (function, offset) in [(enter as *const (), ENTRY), (leave as *const (), EXIT)] {
        // SAFETY: the byte is one of a function above, which nobody writes.
        let byte = unsafe { *function.cast::<u8>().wrapping_add(offset) };
        assert_eq!(byte, 0x90, "nop");
    }
    let mut own = Own::load();
    let site = own.site(config, READ);
    let cookie = Cookie::new(site, role);
    let end = cookie.with_end(CallEnd::of_register(0, true));
    own.attach(Program::GoroutineExit, leave as *const () as usize + EXIT, end);
    own.attach(Program::GoroutineEntry, enter as *const () as usize + ENTRY, cookie);
    own
}

/// What the data records of all connections bring: object, position, bytes.
fn moved(own: &mut Own) -> Vec<(u64, u64, Vec<u8>)> {
    let records = own.records();
    let moved = records.iter().filter(|record| header(record).kind == Kind::DATA);
    let moved = moved.map(|record| {
        let (object, position, bytes) = data(record);
        (object, position, bytes.to_vec())
    });
    moved.collect()
}

fn calls_noted(own: &Own) -> usize {
    let mut count = 0;
    let each = |_: tracer_ebpf::AddressKey, _: tracer_ebpf::CallState| count += 1;
    crate::attach::batch::read_named(&own.ebpf, "CALLS", each).unwrap();
    count
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn calls_of_two_goroutines_on_one_thread_are_told_apart() {
    let mut own = probed();
    let stacks = [Stack::new(), Stack::new()];
    let [one, two] = stacks.each_ref().map(|stack| stack.goroutine());
    let [of_one, of_two] = stacks.each_ref().map(|stack| stack.top() - 256);
    let (hello, world) = (b"hello", b"world");
    black_box(enter)(&raw const one, of_one, 0x1000, hello.as_ptr() as u64, 5);
    black_box(enter)(&raw const two, of_two, 0x2000, world.as_ptr() as u64, 5);
    black_box(leave)(&raw const one, of_one, 5);
    // It ends on another thread.
    std::thread::scope(|scope| {
        scope.spawn(|| black_box(leave)(&raw const two, of_two, 4));
    });
    assert_eq!(
        moved(&mut own),
        [(0x1000, 0, b"hello".to_vec()), (0x2000, 0, b"worl".to_vec())]
    );
    assert_eq!(calls_noted(&own), 0);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_stack_that_moves_takes_the_call_and_its_buffer_along() {
    let mut own = probed();
    let (mut old, mut new) = (Stack::new(), Stack::new());
    let mut goroutine = old.goroutine();
    let buffer = old.put(128, b"old bytes");
    black_box(enter)(&raw const goroutine, old.top() - 512, 0x1000, buffer, 9);
    new.put(128, b"new bytes");
    goroutine = new.goroutine();
    black_box(leave)(&raw const goroutine, new.top() - 512, 9);
    // One that lies elsewhere stays where it is.
    let elsewhere = b"elsewhere";
    black_box(enter)(
        &raw const goroutine,
        new.top() - 512,
        0x1000,
        elsewhere.as_ptr() as u64,
        9,
    );
    goroutine = old.goroutine();
    black_box(leave)(&raw const goroutine, old.top() - 512, 9);
    assert_eq!(
        moved(&mut own),
        [(0x1000, 0, b"new bytes".to_vec()), (0x1000, 9, b"elsewhere".to_vec())]
    );
    assert_eq!(calls_noted(&own), 0);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_call_within_another_and_one_that_begins_anew_are_reported_once() {
    let mut own = probed();
    let stack = Stack::new();
    let goroutine = stack.goroutine();
    let goroutine = &raw const goroutine;
    let (outer, inner) = (stack.top() - 256, stack.top() - 1024);
    let bytes = b"bytes".as_ptr() as u64;
    // The stack had to grow: the function begins anew.
    black_box(enter)(goroutine, outer, 0x1000, bytes, 5);
    black_box(enter)(goroutine, outer, 0x1000, bytes, 5);
    black_box(enter)(goroutine, inner, 0x2000, bytes, 5);
    black_box(leave)(goroutine, inner, 2);
    black_box(leave)(goroutine, outer, 3);
    // Nothing is moved, and more than there was room for.
    for (room, result) in [(5, 0), (5, -1), (4, 5)] {
        black_box(enter)(goroutine, outer, 0x3000, bytes, room);
        black_box(leave)(goroutine, outer, result);
    }
    assert_eq!(
        moved(&mut own),
        [(0x2000, 0, b"by".to_vec()), (0x1000, 0, b"byt".to_vec())]
    );
    assert_eq!(calls_noted(&own), 0);
    assert_eq!(Tables(&mut own.ebpf).losses(1).unwrap()[0].count_unreadable, 1);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_goroutine_that_ends_within_a_call_leaves_nothing_to_the_next_one() {
    let mut own = probed();
    let stack = Stack::new();
    let goroutine = stack.goroutine();
    let goroutine = &raw const goroutine;
    let at = stack.top() - 256;
    black_box(enter)(goroutine, at, 0x1000, b"never".as_ptr() as u64, 5);
    // The runtime gives its memory to another goroutine, which makes the same call.
    black_box(enter)(goroutine, at, 0x2000, b"bytes".as_ptr() as u64, 5);
    black_box(leave)(goroutine, at, 5);
    // An end without a beginning means nothing.
    black_box(leave)(goroutine, at, 5);
    // A stack pointer that is not on the goroutine's stack is no call of Go.
    black_box(enter)(goroutine, stack.top() + 8, 0x3000, b"bytes".as_ptr() as u64, 5);
    assert_eq!(moved(&mut own), [(0x2000, 0, b"bytes".to_vec())]);
    assert_eq!(calls_noted(&own), 0);
    assert_eq!(Tables(&mut own.ebpf).totals().unwrap().hits_ignored, 1);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_connection_is_seen_from_its_start_unless_a_call_without_a_beginning_ended_since() {
    let mut own = probed();
    let site = own.site(SiteConfig::NONE, SiteOperands::OBJECT);
    let cookie = Cookie::new(site, Role::Clear);
    own.attach(Program::ConnectionEnd, clear as *const () as usize, cookie);
    let stack = Stack::new();
    let goroutine = stack.goroutine();
    let goroutine = &raw const goroutine;
    let at = stack.top() - 256;
    let mut is_from_start = |object, has_unseen: bool| {
        black_box(clear)(object);
        if has_unseen {
            black_box(leave)(goroutine, at, 5);
        }
        black_box(enter)(
            goroutine,
            at,
            u64::try_from(object).unwrap(),
            b"bytes".as_ptr() as u64,
            5,
        );
        black_box(leave)(goroutine, at, 5);
        let records = own.records();
        let data = records.iter().find(|record| header(record).kind == Kind::DATA);
        header(data.unwrap()).flags.contains(RecordFlags::FROM_START)
    };
    assert!(is_from_start(0x1000, false));
    assert!(!is_from_start(0x2000, true));
    assert!(is_from_start(0x3000, false));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_write_is_captured_as_it_begins_once_its_connection_has_a_version() {
    let config = SiteConfig {
        version: 2,
        ..SiteConfig::NONE
    };
    let mut own = probed_as(Role::Write, config);
    let stack = Stack::new();
    let goroutine = stack.goroutine();
    let goroutine = &raw const goroutine;
    let (first, second) = (stack.top() - 256, stack.top() - 512);
    let bytes = b"bytes".as_ptr() as u64;
    let [without, with] = [[0_u16, 0], [0, 0x304]].map(Box::new);
    let [without, with] = [&without, &with].map(|object| object.as_ptr() as u64);
    black_box(enter)(goroutine, first, without, bytes, 5);
    assert_eq!(moved(&mut own), []);
    black_box(leave)(goroutine, first, 5);
    assert_eq!(moved(&mut own), [(without, 0, b"bytes".to_vec())]);
    black_box(enter)(goroutine, first, with, bytes, 5);
    assert_eq!(moved(&mut own), [(with, 0, b"bytes".to_vec())]);
    black_box(leave)(goroutine, first, 5);
    assert_eq!(own.records().len(), 0);
    // Two at once: their order is not certain.
    black_box(enter)(goroutine, first, with, bytes, 5);
    black_box(enter)(goroutine, second, with, bytes, 5);
    black_box(leave)(goroutine, second, 5);
    let is_passed = |record: &Vec<u8>| header(record).kind == Kind::PASSED;
    assert!(!own.records().iter().any(is_passed));
    black_box(leave)(goroutine, first, 5);
    assert!(own.records().iter().any(is_passed));
    // One that fails.
    black_box(enter)(goroutine, first, with, bytes, 5);
    black_box(leave)(goroutine, first, 0);
    assert!(own.records().iter().any(is_passed));
    assert_eq!(calls_noted(&own), 0);
}
