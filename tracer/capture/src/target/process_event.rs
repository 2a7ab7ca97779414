//! Process events: fork, exec, mmap and exit of traced processes.

use tracer_ebpf::{Change, Direction, HooksRecord, HooksRefused, Kind, ProcessRecord, RecordHeader};
use zerocopy::FromBytes as _;

/// An event of a process, reported by a BPF program or a perf event, or found by polling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProcessEvent {
    /// A traced process forked a child.
    Fork {
        /// The child.
        pid: u32,
        /// The traced process.
        parent: u32,
    },
    /// A process executed a program, and either is selected.
    Exec {
        /// The process.
        pid: u32,
        /// When, in nanoseconds of `CLOCK_MONOTONIC`.
        at_ns: u64,
    },
    /// A selected process that was not known hit a probe that is shared by all processes.
    FirstHit {
        /// The process.
        pid: u32,
    },
    /// A process exited.
    Exit {
        /// The process.
        pid: u32,
        /// When, in nanoseconds of `CLOCK_MONOTONIC`.
        at_ns: u64,
    },
    /// A process mapped an executable file.
    Mmap {
        /// The process, traced or not.
        pid: u32,
    },
    /// A connection of a traced process refused a tap or a lift.
    HooksRefused {
        /// The process.
        pid: u32,
        /// The site where the connection was first seen.
        site: u32,
        /// The direction of its bytes.
        direction: Direction,
        /// Whether calls moved another number of bytes, or others: the hook is wrong for its file.
        is_wrong: bool,
    },
    /// Events were lost, of unknown kinds and processes.
    Lost,
}

impl ProcessEvent {
    /// Parses a record; returns `None` for one of another kind.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let (header, _) = RecordHeader::read_from_prefix(record).ok()?;
        match header.kind {
            Kind::HOOKS => {
                let cause = HooksRecord::read_from_prefix(record).ok()?.0.cause;
                Some(Self::HooksRefused {
                    pid: header.tgid,
                    site: header.cookie.site(),
                    direction: header.direction,
                    is_wrong: cause == HooksRefused::MISMATCH,
                })
            }
            Kind::PROCESS => Self::from_record(&ProcessRecord::read_from_prefix(record).ok()?.0),
            _ => None,
        }
    }

    fn from_record(record: &ProcessRecord) -> Option<Self> {
        let (pid, at_ns) = (record.header.tgid, record.header.ts_ns);
        match record.change {
            Change::FORKED => Some(Self::Fork {
                pid,
                parent: record.parent,
            }),
            Change::EXECUTED => Some(Self::Exec { pid, at_ns }),
            Change::MET => Some(Self::FirstHit { pid }),
            Change::ENDED => Some(Self::Exit { pid, at_ns }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{Cookie, RecordFlags};
    use zerocopy::IntoBytes as _;

    use super::*;

    fn process(change: Change) -> Vec<u8> {
        let header = RecordHeader {
            ts_ns: 9,
            cookie: Cookie(0),
            object: 0,
            generation: 0,
            tgid: 7,
            tid: 7,
            kind: Kind::PROCESS,
            direction: Direction::READ,
            flags: RecordFlags(0),
            reserved: 0,
        };
        let record = ProcessRecord {
            header,
            name: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
            parent: 6,
            unused: 3,
            change,
            reserved: [0; 7],
        };
        record.as_bytes().to_vec()
    }

    #[test]
    fn each_change_is_an_event() {
        let of = |change| ProcessEvent::parse(&process(change));
        assert_eq!(of(Change::FORKED), Some(ProcessEvent::Fork { pid: 7, parent: 6 }));
        let exec = ProcessEvent::Exec { pid: 7, at_ns: 9 };
        assert_eq!(of(Change::EXECUTED), Some(exec));
        assert_eq!(of(Change::MET), Some(ProcessEvent::FirstHit { pid: 7 }));
        let exit = ProcessEvent::Exit { pid: 7, at_ns: 9 };
        assert_eq!(of(Change::ENDED), Some(exit));
        assert_eq!(of(Change(99)), None);
    }

    #[test]
    fn only_a_mismatch_is_wrong_for_a_file() {
        let (header, _) = RecordHeader::read_from_prefix(&process(Change::ENDED)).unwrap();
        let of = |cause| {
            let record = HooksRecord {
                header: RecordHeader {
                    kind: Kind::HOOKS,
                    direction: Direction::WRITE,
                    ..header
                },
                cause,
                reserved: [0; 7],
            };
            ProcessEvent::parse(record.as_bytes())
        };
        let refused = |is_wrong| {
            Some(ProcessEvent::HooksRefused {
                pid: 7,
                site: 0,
                direction: Direction::WRITE,
                is_wrong,
            })
        };
        assert_eq!(of(HooksRefused::MISMATCH), refused(true));
        assert_eq!(of(HooksRefused::WRITE_BIO), refused(false));
    }

    #[test]
    fn a_truncated_record_is_no_event() {
        let record = process(Change::ENDED);
        for cut in 0..record.len() {
            assert_eq!(ProcessEvent::parse(&record[..cut]), None, "cut at {cut}");
        }
    }
}
