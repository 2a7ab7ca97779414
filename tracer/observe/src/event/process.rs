//! Process records: forks, executed programs, exits and first hits of a probe.

use tracer_ebpf::ProcessRecord;

use super::{Error, text};

/// A change of a process, and its name after it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessChange {
    /// The change.
    pub change: Change,
    /// Short name (`comm`); empty if it could not be read.
    pub name: String,
}

/// A change of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It was forked.
    Forked {
        /// Process id of its parent.
        parent: u32,
    },
    /// It executed another program.
    Executed,
    /// It has ended.
    Ended,
    /// It hit a probe for the first time.
    FirstHit,
}

impl ProcessChange {
    /// Converts a record.
    pub(super) fn read(record: &ProcessRecord) -> Result<Self, Error> {
        let change = match record.change {
            tracer_ebpf::Change::FORKED => Change::Forked { parent: record.parent },
            tracer_ebpf::Change::EXECUTED => Change::Executed,
            tracer_ebpf::Change::ENDED => Change::Ended,
            tracer_ebpf::Change::MET => Change::FirstHit,
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
    fn each_change_is_parsed_and_an_unknown_one_is_an_error() {
        for (code, expected) in [
            (tracer_ebpf::Change::FORKED, Change::Forked { parent: 3 }),
            (tracer_ebpf::Change::EXECUTED, Change::Executed),
            (tracer_ebpf::Change::ENDED, Change::Ended),
            (tracer_ebpf::Change::MET, Change::FirstHit),
        ] {
            assert_eq!(change(code, [0; 16]).unwrap().change, expected);
        }
        let unknown = change(tracer_ebpf::Change(9), [0; 16]);
        assert_eq!(unknown, Err(Error::Unknown));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_converted_lossily() {
        let name = |bytes| change(tracer_ebpf::Change::MET, bytes).unwrap().name;
        assert_eq!(name(*b"nginx\0\0\0\0\0\0\0\0\0\0\0"), "nginx");
        assert_eq!(name(*b"sixteen-bytes-xx"), "sixteen-bytes-xx");
        assert_eq!(name(*b"a\xffb\0\0\0\0\0\0\0\0\0\0\0\0\0"), "a\u{fffd}b");
    }
}
