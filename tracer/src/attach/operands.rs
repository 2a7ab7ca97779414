//! Where the operands of the functions of OpenSSL's interface are, for the programs.

use symbolizer::Role;
use tracer_ebpf::{Operand, SiteOperands, Width};

/// Returns where the operands of a function are, by its role.
pub(super) const fn operands_of(role: Role) -> SiteOperands {
    let result = Operand::result(Width::S32);
    let object = SiteOperands::OBJECT;
    let buffer = Operand::argument(1, Width::U64);
    match role {
        Role::Read | Role::Write => SiteOperands {
            buffer,
            length: Operand::argument(2, Width::U32),
            count: result,
            result,
            ..object
        },
        Role::ReadEx | Role::WriteEx => counted_behind(3),
        Role::WriteEx2 => counted_behind(4),
        Role::Sendfile => SiteOperands {
            length: Operand::argument(3, Width::U64),
            count: Operand::result(Width::S64),
            result: Operand::result(Width::S64),
            ..object
        },
        Role::SetFd | Role::SetRfd | Role::SetWfd => SiteOperands {
            buffer: Operand::argument(1, Width::S32),
            result,
            ..object
        },
        Role::BioWrite => SiteOperands {
            buffer,
            length: Operand::argument(2, Width::S32),
            ..object
        },
        Role::Handshake | Role::WriteEarly => SiteOperands { result, ..object },
        Role::SetBio | Role::SetRbio | Role::SetWbio | Role::Free | Role::Clear | Role::ReadEarly => object,
    }
}

/// Returns the operands of a read or write that stores its count where its `n`th argument points to.
const fn counted_behind(n: u8) -> SiteOperands {
    SiteOperands {
        buffer: Operand::argument(1, Width::U64),
        length: Operand::argument(2, Width::U64),
        count: Operand::behind_argument(n, Width::U64),
        result: Operand::result(Width::S32),
        ..SiteOperands::OBJECT
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, hint::black_box};

    use aya::{
        Ebpf, EbpfLoader,
        programs::{
            UProbe,
            uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
        },
    };
    use tracer_ebpf::{
        AddressSource, ConnectionRecord, Cookie, DataRecord, KernelOffsets, Kind, PassedCause, PassedRecord, Place,
        RecordHeader, Role, SettingFlags, Settings, Success, TargetFlags,
    };
    use zerocopy::FromBytes as _;

    use super::*;
    use crate::attach::{OBJECT, Ring, Rings, Switch, program::abi_role, program_of, tables::Tables, value::MapValue};

    /// As `gnutls_record_recv`: the result is the count, or a negative error.
    #[inline(never)]
    extern "C" fn receive(session: usize, data: *const u8, size: usize, result: isize) -> isize {
        black_box((session, data, size));
        result
    }

    /// As `gnutls_transport_set_int2`, which has no result.
    #[inline(never)]
    extern "C" fn set_descriptors(session: usize, receives: i32, sends: i32) {
        black_box((session, receives, sends));
    }

    /// Has its object behind a pointer, its length on the stack where the machine has few registers, and an error code as
    /// its result.
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
        reserved: [0; 7],
    };

    const X86: bool = cfg!(target_arch = "x86_64");

    const BEHIND_RETURN_ADDRESS: Operand = Operand {
        loads: [8, Operand::UNKNOWN],
        ..Operand::at(Place::register(7), Width::U64)
    };

    /// The programs, at functions of this process.
    struct Own {
        ebpf: Ebpf,
        rings: Rings,
        switch: Switch,
        sites: u32,
    }

    impl Own {
        fn load() -> Self {
            let (offsets, settings) = (
                MapValue(KernelOffsets::NONE),
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
                .override_global("SETTINGS", &settings, true);
            let mut ebpf = loader.load(OBJECT).unwrap();
            for name in ["call_entry", "call_return"] {
                program_of::<UProbe>(&mut ebpf, name).unwrap().load().unwrap();
            }
            let (mut rings, _) = Rings::make(&mut ebpf, 65536, false).unwrap();
            for ring in rings.captured.iter_mut().chain([&mut rings.lifecycle]) {
                ring.map_data().unwrap();
            }
            let own = BTreeSet::from([std::process::id()]);
            Tables(&mut ebpf).trace(&own, TargetFlags::default()).unwrap();
            let mut switch = Switch::take(&mut ebpf).unwrap();
            switch.set(true).unwrap();
            Self {
                ebpf,
                rings,
                switch,
                sites: 0,
            }
        }

        /// Probes a function, as a site of its own.
        fn probe(&mut self, function: *const (), role: u8, operands: SiteOperands) {
            let site = self.sites;
            self.sites += 1;
            Tables(&mut self.ebpf).place_operands(site, operands).unwrap();
            let point = || UProbeAttachPoint {
                location: UProbeAttachLocation::AbsoluteOffset(file_offset(function)),
                cookie: Some(Cookie::new(site, Role::Read).0 | u64::from(role) << 32),
            };
            for name in ["call_return", "call_entry"] {
                let program = program_of::<UProbe>(&mut self.ebpf, name).unwrap();
                program
                    .attach(point(), "/proc/self/exe", UProbeScope::CallingProcess)
                    .unwrap();
            }
        }

        /// What was reported since, in the order of time.
        fn records(&mut self) -> Vec<Vec<u8>> {
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

    /// Where in the file a function of this process is.
    fn file_offset(function: *const ()) -> u64 {
        let address = u64::try_from(function.addr()).unwrap();
        let maps = procfs::process::Process::myself().unwrap().maps().unwrap();
        let mut within = maps
            .iter()
            .filter(|map| (map.address.0..map.address.1).contains(&address));
        let map = within.next().unwrap();
        address - map.address.0 + map.offset
    }

    fn header(record: &[u8]) -> RecordHeader {
        RecordHeader::read_from_prefix(record).unwrap().0
    }

    /// A record of bytes: its object, its position, and the bytes.
    fn data(record: &[u8]) -> (u64, u64, &[u8]) {
        let (data, payload) = DataRecord::read_from_prefix(record).unwrap();
        assert_eq!(data.header.kind, Kind::DATA);
        let captured = usize::try_from(data.captured).unwrap();
        (data.header.ssl, data.position, &payload[..captured])
    }

    #[test]
    fn every_function_has_the_operands_that_its_role_needs() {
        for role in symbolizer::Role::ALL {
            let operands = operands_of(role);
            assert!(operands.object.is_some(), "{role:?}");
            assert_eq!(operands.result.is_some(), role.has_result(), "{role:?}");
            let moves = abi_role(role).moves().is_some();
            assert_eq!(operands.count.is_some(), moves, "{role:?}");
            assert!(operands.length.is_some() || !moves, "{role:?}");
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
    fn a_count_beyond_the_length_is_not_believed() {
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
    fn a_site_that_the_programs_do_not_understand_is_counted_and_reports_nothing() {
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
}
