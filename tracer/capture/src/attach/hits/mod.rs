//! Taps and exits, at functions of this process that stand for those of a library.

#[cfg(target_arch = "x86_64")]
mod exits;
#[cfg(target_arch = "x86_64")]
mod goroutines;
#[cfg(target_arch = "x86_64")]
mod goroutines_on_stack;
#[cfg(target_arch = "x86_64")]
mod pieces;

use std::{collections::BTreeSet, hint::black_box};

use tracer_ebpf::{
    ConnectionRecord, Cookie, DataRecord, Guard, HooksRecord, HooksRefused, KernelOffsets, Kind, Operand, Place,
    RecordFlags, Role, STRETCH, SiteConfig, SiteOperands, TargetFlags, Width,
};
use zerocopy::FromBytes as _;

use super::{
    Calls,
    operands::tests::{Own, data, header},
    program::Program,
    tables::Tables,
};

/// As the copy out of a library's record layer: its type is 23 for a program's bytes, and they stay where they are if it
/// only peeks.
#[inline(never)]
extern "C" fn copy(to: *mut u8, from: *const u8, bytes: usize, kind: i32, peek: i32, session: usize) {
    black_box((to, from, bytes, kind, peek, session));
}

pub(super) const COPY: SiteOperands = SiteOperands {
    object: Operand::argument(5, Width::U64),
    buffer: Operand::argument(1, Width::U64),
    count: Operand::argument(2, Width::U64),
    guards: [
        Guard::new(Operand::argument(3, Width::S32), 23),
        Guard::new(Operand::argument(4, Width::S32), 0),
    ],
    ..SiteOperands::OBJECT
};

fn copied(bytes: &[u8], kind: i32, peek: i32) {
    black_box(copy)(std::ptr::null_mut(), bytes.as_ptr(), bytes.len(), kind, peek, 0x1000);
}

#[inline(never)]
extern "C" fn clear(session: usize) {
    black_box(session);
}

/// Reads as a library does: copies some bytes, and returns a count. The caller finds these bytes, or others.
#[inline(never)]
extern "C" fn read(session: usize, to: *const u8, bytes: usize, result: isize, from: *const u8) -> isize {
    black_box(to);
    if bytes != 0 {
        black_box(copy)(std::ptr::null_mut(), from, bytes, 23, 0, session);
    }
    black_box(result)
}

pub(super) const READ: SiteOperands = SiteOperands {
    object: Operand::argument(0, Width::U64),
    buffer: Operand::argument(1, Width::U64),
    // As much room as it says: the last argument.
    length: Operand::argument(3, Width::U64),
    count: Operand::result(Width::S64),
    result: Operand::result(Width::S64),
    ..SiteOperands::OBJECT
};

fn tap(own: &mut Own, config: SiteConfig) -> u32 {
    let site = own.site(config, COPY);
    own.attach(Program::Tap, copy as *const () as usize, Cookie::new(site, Role::Read));
    site
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_captures_what_its_guards_let_through() {
    let mut own = Own::load();
    tap(&mut own, SiteConfig::NONE);
    copied(b"finished", 22, 0);
    let records = own.records();
    assert_eq!(records.len(), 1, "a handshake makes the connection known");
    assert_eq!(header(&records[0]).kind, Kind::CONNECTION);
    assert_eq!(
        ConnectionRecord::read_from_prefix(&records[0]).unwrap().0.header.object,
        0x1000
    );
    copied(b"hel", 23, 1);
    copied(b"hello", 23, 0);
    copied(b"again", 23, 0);
    let records = own.records();
    let moved: Vec<_> = records.iter().map(|record| data(record)).collect();
    assert_eq!(
        moved,
        [(0x1000, 0, b"hello".as_slice()), (0x1000, 5, b"again".as_slice())]
    );
    let record = DataRecord::read_from_prefix(&records[0]).unwrap().0;
    assert_eq!(record.began_ns, record.header.ts_ns);
    assert!(!record.header.flags.contains(RecordFlags::FROM_START));
    own.switch.set(false).unwrap();
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_process_that_a_cpu_remembers_is_traced_from_one_change_to_the_next() {
    let mut own = Own::load();
    tap(&mut own, SiteConfig::NONE);
    let pids = BTreeSet::from([std::process::id()]);
    for _ in 0..3 {
        copied(b"hello", 23, 0);
        assert!(own.records().iter().any(|record| header(record).kind == Kind::DATA));
        Tables(&mut own.ebpf).untrace(&pids).unwrap();
        copied(b"unseen", 23, 0);
        assert!(own.records().is_empty());
        Tables(&mut own.ebpf).trace(&pids, TargetFlags::default()).unwrap();
    }
    own.switch.set(false).unwrap();
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_reads_its_operands_from_memory_whatever_their_width() {
    let mut own = Own::load();
    let behind = |offset, width| Operand {
        loads: [offset, Operand::UNKNOWN],
        ..Operand::argument(5, width)
    };
    let operands = SiteOperands {
        object: behind(0, Width::U64),
        buffer: behind(8, Width::U64),
        count: behind(20, Width::U16),
        guards: [
            Guard::new(behind(22, Width::U8), 23),
            Guard::new(behind(16, Width::U32), u32::MAX),
        ],
        ..SiteOperands::OBJECT
    };
    let site = own.site(SiteConfig::NONE, operands);
    own.attach(Program::Tap, copy as *const () as usize, Cookie::new(site, Role::Read));
    let bytes = [b'x'; 300];
    let mut fields = [0x1000, bytes.as_ptr() as u64, 0xff17_012c_ffff_ffff_u64];
    let copies = |fields: &[u64; 3]| {
        black_box(copy)(
            std::ptr::null_mut(),
            std::ptr::null(),
            0,
            0,
            0,
            fields.as_ptr() as usize,
        );
    };
    copies(&fields);
    fields[2] ^= 1 << 48;
    copies(&fields);
    let records = own.records();
    assert_eq!(data(&records[1]), (0x1000, 0, bytes.as_slice()));
    assert_eq!(records.len(), 2);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_finds_an_object_before_an_address_in_it() {
    let mut own = Own::load();
    let inside = Operand {
        before: 0x120,
        ..Operand::argument(5, Width::U64)
    };
    let site = own.site(SiteConfig::NONE, SiteOperands { object: inside, ..COPY });
    own.attach(Program::Tap, copy as *const () as usize, Cookie::new(site, Role::Read));
    let hit = |address| black_box(copy)(std::ptr::null_mut(), b"hello".as_ptr(), 5, 23, 0, address);
    hit(0x1120);
    hit(0);
    let records = own.records();
    assert_eq!(records.len(), 2, "no address, no object");
    assert_eq!(data(&records[1]), (0x1000, 0, b"hello".as_slice()));
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_sees_a_connection_from_its_start_on_if_it_saw_it_cleared() {
    let mut own = Own::load();
    tap(&mut own, SiteConfig::NONE);
    let site = own.site(SiteConfig::NONE, SiteOperands::OBJECT);
    own.attach(
        Program::ConnectionEnd,
        clear as *const () as usize,
        Cookie::new(site, Role::Clear),
    );
    black_box(clear)(0x1000);
    copied(b"hello", 23, 0);
    let records = own.records();
    assert!(header(&records[1]).flags.contains(RecordFlags::FROM_START));
}

/// A tap, and an entry and a return around it.
pub(super) fn checked() -> Own {
    let mut own = Own::load_on(KernelOffsets::NONE, Calls::BOTH.flags());
    let config = SiteConfig {
        tap: 0,
        ..SiteConfig::NONE
    };
    tap(&mut own, config);
    let site = own.site(config, READ);
    for program in [Program::CallReturn, Program::CallEntry] {
        own.attach(program, read as *const () as usize, Cookie::new(site, Role::Read));
    }
    own
}

fn reads(bytes: &[u8], result: isize) {
    reads_from(0x1000, bytes, result);
}

/// Reads from a session: a tap sees these bytes, and the call returns a count.
pub(super) fn reads_from(session: usize, bytes: &[u8], result: isize) {
    black_box(read)(session, bytes.as_ptr(), bytes.len(), result, bytes.as_ptr());
}

/// The first record of this process that says that hooks do not serve a connection, without its place among the records.
fn refusal(records: &mut Vec<Vec<u8>>) -> Option<HooksRecord> {
    let at = records.iter().position(|record| header(record).kind == Kind::HOOKS)?;
    Some(HooksRecord::read_from_bytes(&records.remove(at)).unwrap())
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn calls_that_confirm_a_tap_report_nothing_themselves() {
    let mut own = checked();
    reads(b"hello", 5);
    reads(b"", -1);
    reads(b"again", 5);
    let mut records = own.records();
    assert_eq!(refusal(&mut records), None);
    let moved: Vec<_> = records[1..].iter().map(|record| data(record)).collect();
    assert_eq!(
        moved,
        [(0x1000, 0, b"hello".as_slice()), (0x1000, 5, b"again".as_slice())]
    );
    let losses = Tables(&mut own.ebpf).losses(2).unwrap();
    assert_eq!(losses[0].mismatches, 0);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_that_brings_too_little_is_given_up_for_the_calls() {
    let mut own = checked();
    reads(b"hello", 5);
    reads(b"agai", 5);
    reads(b"after", 5);
    let mut records = own.records();
    let refused = refusal(&mut records).unwrap();
    assert_eq!((refused.cause, refused.header.object), (HooksRefused::MISMATCH, 0x1000));
    assert_eq!(refusal(&mut records), None, "once");
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(
        kinds,
        [Kind::CONNECTION, Kind::DATA, Kind::DATA, Kind::PASSED, Kind::DATA]
    );
    let (_, position, bytes) = data(&records[4]);
    assert_eq!((position, bytes), (9 + STRETCH, b"after".as_slice()));
    assert_eq!(Tables(&mut own.ebpf).losses(1).unwrap()[0].mismatches, 1);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_that_brings_other_bytes_is_given_up_for_the_calls() {
    let mut own = checked();
    let bytes = b"GET / HTTP/1.1";
    reads(bytes, 14);
    black_box(read)(0x1000, bytes.as_ptr(), 14, 14, bytes[2..].as_ptr());
    reads(bytes, 14);
    let mut records = own.records();
    assert_eq!(refusal(&mut records).unwrap().cause, HooksRefused::MISMATCH);
    let kinds: Vec<_> = records.iter().map(|record| header(record).kind).collect();
    assert_eq!(
        kinds,
        [Kind::CONNECTION, Kind::DATA, Kind::DATA, Kind::PASSED, Kind::DATA]
    );
    assert_eq!(data(&records[4]).2, bytes);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_that_is_never_hit_loses_nothing_while_calls_are_watched() {
    let mut own = checked();
    let bytes = b"hello";
    let silent = |result| {
        // Nothing is copied: as if the bytes took another way.
        black_box(read)(0x1000, bytes.as_ptr(), 0, result, bytes.as_ptr());
    };
    silent(5);
    silent(5);
    let mut records = own.records();
    assert_eq!(refusal(&mut records).unwrap().cause, HooksRefused::UNSEEN);
    let moved: Vec<_> = records[1..].iter().map(|record| data(record).1).collect();
    assert_eq!(moved, [0, 5]);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_call_reports_all_that_a_tap_no_longer_brings() {
    let mut own = checked();
    reads(b"hello", 5);
    black_box(read)(0x1000, b"again".as_ptr(), 0, 5, std::ptr::null());
    let mut records = own.records();
    assert_eq!(refusal(&mut records).unwrap().cause, HooksRefused::UNSEEN);
    let moved: Vec<_> = records[1..].iter().map(|record| data(record)).collect();
    assert_eq!(
        moved,
        [(0x1000, 0, b"hello".as_slice()), (0x1000, 5, b"again".as_slice())]
    );
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_tap_takes_over_from_calls_that_are_no_longer_watched() {
    let mut own = Own::load();
    let config = SiteConfig {
        tap: 1,
        ..SiteConfig::NONE
    };
    let site = own.site(config, READ);
    let cookie = Cookie::new(site, Role::Read);
    for program in [Program::CallReturn, Program::CallEntry] {
        own.attach(program, read as *const () as usize, cookie);
    }
    reads(b"hello", 5);
    tap(&mut own, config);
    reads(b"again", 5);
    let records = own.records();
    let moved: Vec<_> = records[1..].iter().map(|record| data(record)).collect();
    assert_eq!(
        moved,
        [(0x1000, 0, b"hello".as_slice()), (0x1000, 5, b"again".as_slice())]
    );
    let cookie = DataRecord::read_from_prefix(&records[2]).unwrap().0.header.cookie;
    assert_eq!(cookie.site(), 1, "the tap's");
}

#[cfg(target_arch = "x86_64")]
mod slots {
    use super::*;

    /// Has its operands on the stack as it is entered, above the return address and two words.
    extern "C" fn slotted(
        _: usize,
        from: *const u8,
        bytes: usize,
        _: usize,
        _: usize,
        _: usize,
        peek_and_kind: u64,
        _: usize,
        session: usize,
    ) {
        black_box((from, bytes, peek_and_kind, session));
    }

    const STACK: Place = Place::register(7);

    const fn slot(offset: i16, width: Width) -> Operand {
        Operand {
            loads: [offset, Operand::UNKNOWN],
            ..Operand::at(STACK, width)
        }
    }

    #[test]
    #[ignore = "needs the privilege to place probes: scripts/test runs it"]
    fn a_tap_reads_what_is_on_the_stack_at_once() {
        let operands = SiteOperands {
            object: slot(24, Width::U64),
            buffer: Operand::argument(1, Width::U64),
            count: Operand::argument(2, Width::U64),
            guards: [Guard::new(slot(12, Width::S32), 23), Guard::new(slot(8, Width::S32), 0)],
            ..SiteOperands::OBJECT
        }
        .with_window(STACK);
        assert_eq!(operands.window, 8);
        let mut own = Own::load();
        let site = own.site(SiteConfig::NONE, operands);
        own.attach(
            Program::Tap,
            slotted as *const () as usize,
            Cookie::new(site, Role::Read),
        );
        let hit = |peek_and_kind, session| {
            black_box(slotted)(0, b"hello".as_ptr(), 5, 0, 0, 0, peek_and_kind, 0, session);
        };
        hit(22 << 32, 0x1000);
        hit(23 << 32, 0x1000);
        hit(23 << 32 | 1, 0x1000);
        hit(23 << 32, 0x1000);
        // No address that an object has, but still the one that is there.
        hit(23 << 32, 0x1001);
        let records = own.records();
        let moved = records.iter().filter(|record| header(record).kind == Kind::DATA);
        let moved: Vec<_> = moved.map(|record| (data(record).0, data(record).1)).collect();
        assert_eq!(moved, [(0x1000, 0), (0x1000, 5), (0x1001, 0)]);
    }
}
