use std::{
    collections::BTreeSet,
    fs,
    hint::black_box,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aya::{
    Ebpf, EbpfLoader,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};
use tracer_ebpf::{
    AddressKey, AddressSource, ConnectionRecord, ConnectionState, Cookie, DataRecord, KernelOffsets, Kind, Operand,
    PassedCause, PassedRecord, Place, RecordHeader, SettingFlags, Settings, SiteConfig, Success, TargetFlags,
};
use zerocopy::FromBytes as _;

use super::*;
use crate::attach::{
    Cpus, OBJECT, Ring, Rings, Switch, batch::read_named, program::Program, program_of, tables::Tables, value::MapValue,
};

/// Like `gnutls_record_recv`: the result is the count, or a negative error.
#[inline(never)]
extern "C" fn receive(session: usize, data: *const u8, size: usize, result: isize) -> isize {
    black_box((session, data, size));
    result
}

/// Like `gnutls_transport_set_int2`, which has no result.
#[inline(never)]
extern "C" fn set_descriptors(session: usize, receives: i32, sends: i32) {
    black_box((session, receives, sends));
}

/// Has its object behind a pointer, its length on the stack on x86-64, and an error code as its result.
#[inline(never)]
extern "C" fn send(wrapper: &[usize; 2], _: i32, _: i32, data: *const u8, count: &u32, _: i32, size: u64) -> i32 {
    black_box((wrapper, data, count, size));
    0
}

const RECEIVE: SiteOperands = SiteOperands {
    buffer: Operand::argument(1, Width::U64),
    length: Operand::argument(2, Width::U64),
    count: Operand::result(Width::S64),
    result: Operand::result(Width::S64),
    ..SiteOperands::OBJECT
};

const SET_DESCRIPTORS: SiteOperands = SiteOperands {
    buffer: Operand::argument(1, Width::S32),
    ..SiteOperands::OBJECT
};

const SEND: SiteOperands = SiteOperands {
    object: Operand {
        loads: [8, Operand::UNKNOWN],
        ..Operand::argument(0, Width::U64)
    },
    // The fourth argument.
    buffer: Operand::at(Place::register(if X86 { 2 } else { 3 }), Width::U64),
    length: if X86 {
        BEHIND_RETURN_ADDRESS
    } else {
        Operand::argument(6, Width::U64)
    },
    count: Operand::behind_argument(4, Width::U32),
    result: Operand::result(Width::S32),
    success: Success::NOT_NEGATIVE,
    ..SiteOperands::OBJECT
};

const X86: bool = cfg!(target_arch = "x86_64");

const BEHIND_RETURN_ADDRESS: Operand = Operand {
    loads: [8, Operand::UNKNOWN],
    ..Operand::at(Place::register(7), Width::U64)
};

/// Held by the test whose probes are attached: they are hit by every thread of this process, and the tests call the
/// same functions.
static ATTACHED: Mutex<()> = Mutex::new(());

/// The programs, attached to functions of this process.
pub(in crate::attach) struct Own {
    pub(in crate::attach) ebpf: Ebpf,
    rings: Rings,
    /// Holds the table of the rings, for programs that are loaded later.
    _cpus: Cpus,
    pub(in crate::attach) switch: Switch,
    sites: u32,
    /// The last field, so that it is released when the probes are gone.
    _attached: MutexGuard<'static, ()>,
}

/// Entries of the table of skipped bytes, so few that a test can fill it.
pub(in crate::attach) const FEW_SKIPS: u32 = 64;

impl Own {
    /// Loads the programs as on a kernel that does not describe its structures.
    pub(in crate::attach) fn load() -> Self {
        Self::load_on(KernelOffsets::NONE, TargetFlags::default())
    }

    pub(in crate::attach) fn load_on(offsets: KernelOffsets, flags: TargetFlags) -> Self {
        let (offsets, settings) = (
            MapValue(offsets),
            MapValue(Settings {
                call_bytes: 4096,
                flags: SettingFlags::default(),
                own_tgid: 0,
            }),
        );
        let mut loader = EbpfLoader::new();
        loader
            .btf(None)
            .override_global("KERNEL_OFFSETS", &offsets, true)
            .override_global("SETTINGS", &settings, true)
            .map_max_entries("SKIPS", FEW_SKIPS);
        let mut ebpf = loader.load(OBJECT).unwrap();
        for name in Program::ALL.map(Program::name) {
            program_of::<UProbe>(&mut ebpf, name).unwrap().load().unwrap();
        }
        let (mut rings, cpus) = Rings::make(&mut ebpf, 65536, false).unwrap();
        for ring in rings.captured.iter_mut().chain([&mut rings.lifecycle]) {
            ring.map_data().unwrap();
        }
        let own = BTreeSet::from([std::process::id()]);
        Tables(&mut ebpf).trace(&own, flags).unwrap();
        let mut switch = Switch::take(&mut ebpf).unwrap();
        switch.set(true).unwrap();
        Self {
            ebpf,
            rings,
            _cpus: cpus,
            switch,
            sites: 0,
            _attached: ATTACHED.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Attaches the programs to a function, as a new site.
    fn probe(&mut self, function: *const (), role: u8, operands: SiteOperands) {
        let site = self.site(SiteConfig::NONE, operands);
        let cookie = Cookie(Cookie::new(site, Role::Read).0 | u64::from(role) << 32);
        for program in [Program::CallReturn, Program::CallEntry] {
            self.attach(program, function.addr(), cookie);
        }
    }

    /// Adds a site.
    pub(in crate::attach) fn site(&mut self, config: SiteConfig, operands: SiteOperands) -> u32 {
        let site = self.sites;
        self.sites += 1;
        Tables(&mut self.ebpf).configure(site, config).unwrap();
        Tables(&mut self.ebpf).set_operands(site, operands).unwrap();
        site
    }

    /// Attaches a program at an address of this process.
    pub(in crate::attach) fn attach(&mut self, program: Program, address: usize, cookie: Cookie) {
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(file_offset(address)),
            cookie: Some(cookie.0),
        };
        program_of::<UProbe>(&mut self.ebpf, program.name())
            .unwrap()
            .attach(point, "/proc/self/exe", UProbeScope::CallingProcess)
            .unwrap();
    }

    /// Reads the state of all connections.
    pub(in crate::attach) fn connections(&self) -> Vec<ConnectionState> {
        let mut connections = Vec::new();
        read_named(&self.ebpf, "CONNECTIONS", |_: AddressKey, state| {
            connections.push(state);
        })
        .unwrap();
        connections
    }

    /// Reads all records, in the order of their times.
    pub(in crate::attach) fn records(&mut self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        let mut drain = |ring: &mut Ring| {
            let end = ring.produced();
            while ring.take(end, |first, second| records.push([first, second].concat())) {}
        };
        self.rings.captured.iter_mut().for_each(&mut drain);
        drain(&mut self.rings.lifecycle);
        records.sort_by_key(|record| header(record).ts_ns);
        records
    }
}

/// Returns the file offset of an address in this process's code.
fn file_offset(address: usize) -> u64 {
    let address = u64::try_from(address).unwrap();
    let maps = procfs::process::Process::myself().unwrap().maps().unwrap();
    let mut within = maps
        .iter()
        .filter(|map| (map.address.0..map.address.1).contains(&address));
    let map = within.next().unwrap();
    address - map.address.0 + map.offset
}

pub(in crate::attach) fn header(record: &[u8]) -> RecordHeader {
    RecordHeader::read_from_prefix(record).unwrap().0
}

/// Reads a data record: its object, its position, and its payload.
pub(in crate::attach) fn data(record: &[u8]) -> (u64, u64, &[u8]) {
    let (data, payload) = DataRecord::read_from_prefix(record).unwrap();
    assert_eq!(data.header.kind, Kind::DATA);
    let captured = usize::try_from(data.captured).unwrap();
    (data.header.object, data.position, &payload[..captured])
}

fn converted(place: symbolizer::Place, loads: [Option<u16>; 2], width: u8) -> Operand {
    operand_of(&symbolizer::Operand { place, loads, width })
}

#[test]
fn a_register_that_passes_an_argument_has_the_place_of_the_argument() {
    let at = |register| converted(symbolizer::Place::Register(register), [None; 2], 8).place;
    if X86 {
        let arguments = [5, 4, 1, 2, 8, 9].map(at);
        assert_eq!(arguments, [0, 1, 2, 3, 4, 5].map(Place::argument));
        // rax, rbx, rbp, rsp, r15.
        assert_eq!([0, 3, 6, 7, 15].map(at), [0, 3, 6, 7, 15].map(Place::register));
    } else {
        assert_eq!(
            [0, 7, 8, 31].map(at),
            [Place(0), Place(7), Place::register(8), Place::register(31)]
        );
    }
}

#[test]
fn an_address_in_an_object_is_in_a_register() {
    let inside = converted(symbolizer::Place::Before(13, 0x120), [None; 2], 8);
    assert_eq!((inside.place, inside.before), (Place::register(13), 0x120));
    assert_eq!(converted(symbolizer::Place::Register(13), [None; 2], 8).before, 0);
}

#[test]
fn a_stack_slot_takes_one_of_the_two_loads() {
    let slot = |loads| converted(symbolizer::Place::Stack(8), loads, 8);
    assert_eq!(slot([None; 2]).loads, [8, Operand::UNKNOWN]);
    assert_eq!(slot([Some(16), None]).loads, [8, 16]);
    assert_eq!(slot([Some(16), Some(0)]), Operand::NONE);
    let far = converted(symbolizer::Place::Register(0), [Some(0x8000), None], 8);
    assert_eq!(far, Operand::NONE, "the offset does not fit");
}

#[test]
fn every_hook_of_this_machine_s_libraries_has_the_operands_that_its_role_needs() {
    let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    for library in ["libssl.so.3", "libgnutls.so.30"] {
        let image = fs::read(format!("{folder}/{library}")).unwrap();
        let plans = symbolizer::plan(&image, None).unwrap().plans;
        assert!(!plans.is_empty(), "{library}");
        for hook in plans.iter().flat_map(|plan| &plan.hooks) {
            let Some(role) = role_of(hook) else { continue };
            let (operands, moves, name) = (operands_of(hook), role.moves().is_some(), &hook.name);
            assert!(operands.object.is_some(), "{name}");
            assert_eq!(operands.count.is_some(), moves, "{name}");
            let has_all = match hook.kind {
                HookKind::Tap => operands.buffer.is_some() && operands.guards[0].operand.is_some(),
                HookKind::Lift => operands.buffer.is_some() && operands.sequence.is_some(),
                HookKind::Entry | HookKind::Exit | HookKind::Return => {
                    !moves || operands.length.is_some() && operands.result.is_some()
                }
            };
            assert!(has_all, "{name}");
            assert!(operands.buffer.is_some() || role != Role::Descriptor, "{name}");
        }
    }
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn the_operands_of_any_function_are_data() {
    let mut own = Own::load();
    own.probe(receive as *const (), Role::Read.number(), RECEIVE);
    own.probe(set_descriptors as *const (), Role::Descriptor.number(), SET_DESCRIPTORS);
    own.probe(send as *const (), Role::Write.number(), SEND);

    black_box(set_descriptors)(0x1000, 17, 18);
    black_box(receive)(0x1000, b"hello".as_ptr(), 100, 5);
    black_box(receive)(0x1000, b"error".as_ptr(), 100, -28);
    black_box(receive)(0x1000, b"again".as_ptr(), 5, 5);
    black_box(send)(&[1, 0x1000], -1, -1, b"bytes".as_ptr(), &5, -1, 100);
    let records = own.records();
    let connection = ConnectionRecord::read_from_prefix(&records[0]).unwrap().0;
    assert_eq!((connection.fd, connection.source), (17, AddressSource::DESCRIPTOR));
    let moved: Vec<_> = records[1..].iter().map(|record| data(record)).collect();
    assert_eq!(
        moved,
        [
            (0x1000, 0, b"hello".as_slice()),
            (0x1000, 5, b"again".as_slice()),
            (0x1000, 0, b"bytes".as_slice())
        ]
    );
    own.switch.set(false).unwrap();
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_count_larger_than_the_length_is_not_trusted() {
    let mut own = Own::load();
    own.probe(receive as *const (), Role::Read.number(), RECEIVE);
    black_box(receive)(0x1000, b"hello".as_ptr(), 0, 5);
    let records = own.records();
    let passed = records
        .iter()
        .find(|record| header(record).kind == Kind::PASSED)
        .unwrap();
    let passed = PassedRecord::read_from_prefix(passed).unwrap().0;
    assert_eq!(passed.cause, PassedCause::UNREADABLE);
}

#[test]
#[ignore = "needs the privilege to place probes: scripts/test runs it"]
fn a_hit_of_an_invalid_site_is_counted_and_reports_nothing() {
    let mut own = Own::load();
    own.probe(receive as *const (), 77, RECEIVE);
    black_box(receive)(0x1000, b"hello".as_ptr(), 5, 5);
    assert!(own.records().is_empty());
    assert_eq!(Tables(&mut own.ebpf).totals().unwrap().hits_ignored, 1);
    let nowhere = SiteOperands {
        object: Operand {
            loads: [0, Operand::UNKNOWN],
            ..Operand::argument(0, Width::U64)
        },
        ..RECEIVE
    };
    own.probe(receive as *const (), Role::Read.number(), nowhere);
    black_box(receive)(1, b"hello".as_ptr(), 5, 5);
    assert!(own.records().is_empty());
    assert_eq!(Tables(&mut own.ebpf).totals().unwrap().hits_ignored, 3);
}
