//! What happened to a process.
//!
//! In: a process record. Out: a [`ProcessChange`]. Refuses a change of an unknown kind.

use tracer_ebpf::ProcessRecord;

use super::{Error, text};

/// What happened to a process, and its name from then on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessChange {
    /// What happened.
    pub change: Change,
    /// Its short name; empty where nothing could be read.
    pub name: String,
}

/// What happened to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It was forked.
    Forked {
        /// By which process.
        parent: u32,
    },
    /// It runs another program now.
    Executed,
    /// It has ended.
    Ended,
    /// It was met at a probe.
    Met,
}

impl ProcessChange {
    /// Reads a record.
    pub(super) fn read(record: &ProcessRecord) -> Result<Self, Error> {
        let change = match record.change {
            tracer_ebpf::Change::FORKED => Change::Forked { parent: record.parent },
            tracer_ebpf::Change::EXECUTED => Change::Executed,
            tracer_ebpf::Change::ENDED => Change::Ended,
            tracer_ebpf::Change::MET => Change::Met,
            _ => return Err(Error::Unknown),
        };
        let name = String::from_utf8_lossy(text(&record.name)).into_owned();
        Ok(Self { change, name })
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::Kind;
    use zerocopy::IntoBytes as _;

    use super::*;
    use crate::event::{Event, parse, tests::header};

    fn change(change: tracer_ebpf::Change, name: [u8; 16]) -> Result<ProcessChange, Error> {
        let record = ProcessRecord {
            header: header(Kind::PROCESS),
            name,
            parent: 3,
            unused: 0,
            change,
            reserved: [0; 7],
        };
        let Event::Process(change) = parse(record.as_bytes())?.1 else {
            panic!("not a change")
        };
        Ok(change)
    }

    #[test]
    fn each_change_is_read_and_an_unknown_one_refused() {
        for (code, expected) in [
            (tracer_ebpf::Change::FORKED, Change::Forked { parent: 3 }),
            (tracer_ebpf::Change::EXECUTED, Change::Executed),
            (tracer_ebpf::Change::ENDED, Change::Ended),
            (tracer_ebpf::Change::MET, Change::Met),
        ] {
            assert_eq!(change(code, [0; 16]).unwrap().change, expected);
        }
        let unknown = change(tracer_ebpf::Change(9), [0; 16]);
        assert_eq!(unknown, Err(Error::Unknown));
    }

    #[test]
    fn a_name_is_text_whatever_the_process_made_of_it() {
        let name = |bytes| change(tracer_ebpf::Change::MET, bytes).unwrap().name;
        assert_eq!(name(*b"nginx\0\0\0\0\0\0\0\0\0\0\0"), "nginx");
        assert_eq!(name(*b"sixteen-bytes-xx"), "sixteen-bytes-xx");
        assert_eq!(name(*b"a\xffb\0\0\0\0\0\0\0\0\0\0\0\0\0"), "a\u{fffd}b");
    }
}
