//! Calls that end at exits of their own.

use std::arch::naked_asm;

use super::*;

/// Returns its last argument: from the first exit if it is positive, from the second if it is more than 100, from none
/// if it is not positive.
#[unsafe(naked)]
extern "C" fn receive(session: usize, to: *const u8, room: usize, result: isize) -> isize {
    naked_asm!(
        "push rbx",
        "mov rax, rcx",
        "test rax, rax",
        "jle 2f",
        "cmp rax, 100",
        "jg 3f",
        "nop",
        "pop rbx",
        "ret",
        "2:",
        "pop rbx",
        "ret",
        "3:",
        "pop rbx",
        "nop",
        "ret",
    )
}

/// Where in it the entry's probe goes, and the exits', each with how far the stack pointer has come down.
const ENTRY: (usize, u16) = (1, 8);
const EXITS: [(usize, u16); 2] = [(15, 8), (21, 0)];
const NOP: u8 = 0x90;

const RECEIVE: SiteOperands = SiteOperands {
    object: Operand::argument(0, Width::U64),
    buffer: Operand::argument(1, Width::U64),
    length: Operand::argument(2, Width::U64),
    count: Operand::result(Width::S64),
    result: Operand::result(Width::S64),
    ..SiteOperands::OBJECT
};

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_call_ends_at_whichever_exit_it_passes() {
    let start = receive as *const () as usize;
    // SAFETY: the bytes of the function above, which nobody writes.
    let code = unsafe { *(receive as *const [u8; 23]) };
    let [.., first, _, _, _, _, _, second, _] = code;
    assert_eq!([first, second], [NOP; 2], "the exits");
    let mut own = Own::load();
    let site = own.site(SiteConfig::NONE, RECEIVE);
    let cookie = Cookie::new(site, Role::Read);
    let entry = (Program::CallEntry, ENTRY);
    for (program, (offset, depth)) in EXITS.map(|exit| (Program::CallExit, exit)).into_iter().chain([entry]) {
        own.attach(program, start + offset, cookie.with_depth(depth));
    }
    let bytes = [b'x'; 200];
    for result in [5, -1, 200, 0, 7] {
        black_box(receive)(0x1000, bytes.as_ptr(), bytes.len(), result);
    }
    let records = own.records();
    let moved: Vec<_> = records[1..].iter().map(|record| data(record)).collect();
    let moved: Vec<_> = moved
        .iter()
        .map(|(_, position, bytes)| (*position, bytes.len()))
        .collect();
    assert_eq!(moved, [(0, 5), (5, 200), (205, 7)]);
    assert_eq!(header(&records[1]).cookie, cookie, "without a depth");
}
