//! From bytes to types: a record of the rings, read once, at the edge.
//!
//! In: the bytes of one record. Out: an [`Event`]. Refuses a record of an unknown kind, and one that is cut short; both
//! are counted by the caller.

mod address;
mod facts;
mod process;
mod transport;

use http_decode::{Direction, Gap, GapCause, STRETCH, Timestamp};
use tracer_ebpf::{DataRecord, EndRecord, Kind, PassedCause, PassedRecord, RecordFlags, RecordHeader};
use zerocopy::{FromBytes, Immutable, KnownLayout};

pub use address::{Address, AddressSource};
pub use facts::{Basis, Facts};
pub use process::{Change, ProcessChange};
pub use transport::{SocketEnd, SocketFacts, TlsFacts};

/// A connection of a process, while its `SSL` object lives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ConnKey {
    /// Process.
    pub tgid: u32,
    /// Address of the `SSL` object.
    pub ssl: u64,
    /// Tells apart the connections that had the same address.
    pub generation: u64,
}

/// What every event has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Which connection.
    pub key: ConnKey,
    /// When the record was made.
    pub ts_ns: u64,
    /// Thread.
    pub tid: u32,
    /// Index of the site.
    pub site: u32,
}

/// A piece of what one call moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Data<'a> {
    /// Which way.
    pub direction: Direction,
    /// When the bytes crossed: a write when its call began, a read when its call returned.
    pub at_ns: u64,
    /// Position of the first byte in its direction.
    pub position: u64,
    /// Position of the call's first byte.
    pub call_position: u64,
    /// Bytes the call moved beyond this piece that no other piece will bring: over the limit per call.
    pub over_limit: u64,
    /// Whether the connection was seen to begin: position 0 of both its directions is their first byte.
    pub from_start: bool,
    /// What it says of early data.
    pub early: Early,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// What a record of bytes says of a connection's early data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Early {
    /// This is early data, of which it is not known yet whether the server takes it.
    Undecided,
    /// Early data before it, if there was any, was taken.
    Taken,
    /// Early data before it was refused, and is no part of the connection.
    Refused,
}

impl Early {
    const fn of(flags: RecordFlags) -> Self {
        if flags.contains(RecordFlags::EARLY) {
            Self::Undecided
        } else if flags.contains(RecordFlags::EARLY_REFUSED) {
            Self::Refused
        } else {
            Self::Taken
        }
    }
}

/// Bytes that passed and that no record brings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Passed {
    /// Where, how many, why, and when.
    pub gap: Gap,
    /// As with [`Data`].
    pub from_start: bool,
    /// As with [`Data`].
    pub early: Early,
}

// Positions mean the same to who makes them and to who reads them.
const _: () = assert!(STRETCH == tracer_ebpf::STRETCH);

/// What a record says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// Bytes that crossed the library's edge.
    Data(Data<'a>),
    /// Bytes that crossed it and that nothing brings.
    Passed(Passed),
    /// The facts of a connection, before its first data and when more is known.
    Facts(Facts),
    /// What a connection's handshake agreed on.
    Tls(Box<TlsFacts>),
    /// The end of a connection, with its final positions: read, written.
    End([u64; 2]),
    /// How far a connection has come that goes on: read, written.
    Reached([u64; 2]),
    /// The end of a connection's socket.
    Socket(SocketFacts),
    /// The process of the event's key began, was replaced, or ended.
    Process(ProcessChange),
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// It is shorter than its kind.
    CutShort,
    /// Its kind, or another small number in it, is unknown.
    Unknown,
}

/// Reads one record.
pub fn parse(record: &[u8]) -> Result<(Origin, Event<'_>), Error> {
    let (header, _) = prefix::<RecordHeader>(record)?;
    let event = match header.kind {
        Kind::DATA => Event::Data(parse_data(record)?),
        Kind::PASSED => Event::Passed(parse_passed(&prefix(record)?.0)?),
        Kind::CONNECTION => Event::Facts(Facts::read(&prefix(record)?.0)?),
        Kind::TLS => Event::Tls(Box::new(TlsFacts::read(&prefix(record)?.0))),
        Kind::END => {
            let (end, _) = prefix::<EndRecord>(record)?;
            Event::End([end.read, end.written])
        }
        Kind::REACHED => {
            let (reached, _) = prefix::<EndRecord>(record)?;
            Event::Reached([reached.read, reached.written])
        }
        Kind::SOCKET => Event::Socket(SocketFacts::read(&prefix(record)?.0)?),
        Kind::PROCESS => Event::Process(ProcessChange::read(&prefix(record)?.0)?),
        _ => return Err(Error::Unknown),
    };
    let key = ConnKey {
        tgid: header.tgid,
        ssl: header.object,
        generation: header.generation,
    };
    Ok((
        Origin {
            key,
            ts_ns: header.ts_ns,
            tid: header.tid,
            site: header.cookie.site(),
        },
        event,
    ))
}

/// Reads when a record was made, to put records of several rings in order; 0 for one that is cut short.
pub fn timestamp(record: &[u8]) -> u64 {
    prefix::<RecordHeader>(record).map_or(0, |(header, _)| header.ts_ns)
}

fn parse_data(record: &[u8]) -> Result<Data<'_>, Error> {
    let (data, payload) = prefix::<DataRecord>(record)?;
    let captured = usize::try_from(data.captured).map_err(|_overflow| Error::CutShort)?;
    let bytes = payload.get(..captured).ok_or(Error::CutShort)?;
    let (direction, at_ns) = crossing(&data.header, data.began_ns)?;
    let end = data.position.saturating_add(data.captured.into());
    let call_end = data.call_position.saturating_add(data.call_length);
    let cut = data
        .header
        .flags
        .contains(RecordFlags(RecordFlags::LAST.0 | RecordFlags::OVER_LIMIT.0));
    let over_limit = if cut { call_end.saturating_sub(end) } else { 0 };
    Ok(Data {
        direction,
        at_ns,
        position: data.position,
        call_position: data.call_position,
        over_limit,
        from_start: data.header.flags.contains(RecordFlags::FROM_START),
        early: Early::of(data.header.flags),
        bytes,
    })
}

fn parse_passed(record: &PassedRecord) -> Result<Passed, Error> {
    let (direction, at_ns) = crossing(&record.header, record.began_ns)?;
    let cause = match record.cause {
        PassedCause::SENDFILE => GapCause::Sendfile,
        PassedCause::NOT_CAPTURED => GapCause::NotCaptured,
        PassedCause::UNREADABLE => GapCause::Unreadable,
        _ => return Err(Error::Unknown),
    };
    Ok(Passed {
        gap: Gap {
            direction,
            position: record.position,
            span: record.span,
            cause,
            at: Some(Timestamp(at_ns)),
        },
        from_start: record.header.flags.contains(RecordFlags::FROM_START),
        early: Early::of(record.header.flags),
    })
}

/// Says which way bytes went, and when: a write when its call began, a read when its call returned.
fn crossing(header: &RecordHeader, began_ns: u64) -> Result<(Direction, u64), Error> {
    match header.direction {
        tracer_ebpf::Direction::READ => Ok((Direction::Read, header.ts_ns)),
        tracer_ebpf::Direction::WRITE => Ok((Direction::Write, began_ns)),
        _ => Err(Error::Unknown),
    }
}

fn prefix<T: FromBytes + Immutable + KnownLayout>(record: &[u8]) -> Result<(T, &[u8]), Error> {
    T::read_from_prefix(record).map_err(|_short| Error::CutShort)
}

/// Cuts off the zeros that pad a text, and whatever follows the first.
fn text(padded: &[u8]) -> &[u8] {
    padded.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::{Cookie, Role, max_record_size};
    use zerocopy::IntoBytes as _;

    use super::*;

    pub(super) fn header(kind: Kind) -> RecordHeader {
        RecordHeader {
            ts_ns: 9,
            cookie: Cookie::new(3, Role::Read),
            object: 0x1000,
            generation: 2,
            tgid: 7,
            tid: 8,
            kind,
            direction: tracer_ebpf::Direction::WRITE,
            flags: RecordFlags(RecordFlags::LAST.0 | RecordFlags::OVER_LIMIT.0),
            reserved: 0,
        }
    }

    fn data() -> Vec<u8> {
        let record = DataRecord {
            header: header(Kind::DATA),
            began_ns: 4,
            position: 110,
            call_position: 100,
            call_length: 50,
            captured: 5,
            reserved: 0,
        };
        [record.as_bytes(), b"hello"].concat()
    }

    #[test]
    fn a_data_record_tells_its_position_and_what_lay_over_the_limit() {
        let bytes = data();
        let (origin, event) = parse(&bytes).unwrap();
        assert_eq!((origin.site, origin.tid, origin.key.tgid), (3, 8, 7));
        let expected = Data {
            direction: Direction::Write,
            at_ns: 4,
            position: 110,
            call_position: 100,
            over_limit: 35,
            from_start: false,
            early: Early::Taken,
            bytes: b"hello",
        };
        assert_eq!(event, Event::Data(expected));
    }

    #[test]
    fn bytes_that_passed_have_a_length_unless_they_lead_into_another_stretch() {
        let mut record = PassedRecord {
            header: header(Kind::PASSED),
            began_ns: 4,
            position: 110,
            span: 50,
            cause: PassedCause::SENDFILE,
            reserved: [0; 7],
        };
        let passed = |record: &PassedRecord| match parse(record.as_bytes()) {
            Ok((_, Event::Passed(passed))) => passed,
            other => panic!("{other:?}"),
        };
        let gap = passed(&record).gap;
        assert_eq!((gap.position, gap.bytes(), gap.at), (110, Some(50), Some(Timestamp(4))));
        (record.span, record.cause) = (STRETCH, PassedCause::NOT_CAPTURED);
        record.header.flags = RecordFlags::FROM_START;
        let unknown = passed(&record);
        assert_eq!((unknown.gap.bytes(), unknown.gap.cause), (None, GapCause::NotCaptured));
        assert!(unknown.from_start);
        record.cause = PassedCause(9);
        assert_eq!(parse(record.as_bytes()).unwrap_err(), Error::Unknown);
    }

    #[test]
    fn a_record_cut_at_any_byte_is_refused_and_not_misread() {
        let bytes = data();
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]).unwrap_err(), Error::CutShort, "cut at {cut}");
        }
    }

    #[test]
    fn a_record_of_any_kind_cut_at_any_byte_is_refused() {
        for kind in (Kind::DATA.0..=Kind::PASSED.0).map(Kind) {
            // A data record's size is that of its largest payload.
            let size = if kind == Kind::DATA {
                size_of::<DataRecord>()
            } else {
                max_record_size(kind).unwrap()
            };
            let mut bytes = header(kind).as_bytes().to_vec();
            bytes.resize(size, 0);
            // A change of no kind is not one.
            if kind == Kind::PROCESS {
                bytes[size_of::<RecordHeader>() + 24] = 1;
            }
            // Bytes do not pass for no cause.
            if kind == Kind::PASSED {
                bytes[size - 8] = 1;
            }
            assert!(parse(&bytes).is_ok(), "{kind:?}");
            for cut in 0..size {
                assert_eq!(
                    parse(&bytes[..cut]).unwrap_err(),
                    Error::CutShort,
                    "{kind:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(parse(header(Kind(77)).as_bytes()).unwrap_err(), Error::Unknown);
    }

    #[test]
    fn a_text_ends_at_its_first_zero_or_with_its_room() {
        assert_eq!(text(b"nginx\0\0rest"), b"nginx");
        assert_eq!(
            (text(b"whole"), text(b"\0"), text(b"")),
            (&b"whole"[..], &b""[..], &b""[..])
        );
    }
}
