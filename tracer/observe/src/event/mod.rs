//! Parses the bytes of one record into an [`Event`].
//!
//! This is the edge: what comes from a ring or a tape is validated here, once. A record that is cut short, or has a kind or
//! a code that is not known, is an [`Error`], which the caller counts.

mod address;
mod facts;
mod process;
mod refusal;
mod transport;

use http_decode::{Direction, Gap, GapCause, STRETCH, Timestamp};
use tracer_ebpf::{DataRecord, EndRecord, Kind, PassedCause, PassedRecord, RecordFlags, RecordHeader};
use zerocopy::{FromBytes, Immutable, KnownLayout};

pub use address::{Address, AddressSource, InetAddress};
pub use facts::{Basis, Facts};
pub use process::{Change, ProcessChange};
pub use refusal::{Refusal, RefusalCause};
pub use transport::{SocketEnd, SocketFacts, TlsFacts};

/// Identifies a connection while its TLS object lives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ConnKey {
    /// Process id.
    pub tgid: u32,
    /// Address of the TLS object, such as an `SSL`.
    pub ssl: u64,
    /// When it was first seen, in nanoseconds of `CLOCK_MONOTONIC`. Distinguishes connections whose objects had the same
    /// address.
    pub generation: u64,
}

/// What every record has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The connection.
    pub key: ConnKey,
    /// When the record was made, in nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Thread id.
    pub tid: u32,
    /// Index of the probed site.
    pub site: u32,
}

/// Bytes that one call read or wrote, or a part of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Data<'a> {
    /// The direction.
    pub direction: Direction,
    /// When the bytes crossed the edge of the library: at the start of a write, at the end of a read.
    pub at_ns: u64,
    /// Position of the first byte in its direction.
    pub position: u64,
    /// Position of the first byte of the call.
    pub call_position: u64,
    /// Number of bytes after these that are over the limit per call and were not captured.
    pub over_limit: u64,
    /// Whether the connection was traced from its start, so that position 0 is the first byte of either direction.
    pub from_start: bool,
    /// The state of early data.
    pub early: Early,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// The state of TLS 1.3 early data on a connection (RFC 8446 section 2.3), as of one record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Early {
    /// The record is early data that the server may still reject.
    Undecided,
    /// Early data before the record, if any, was accepted.
    Accepted,
    /// Early data before the record was rejected: the server never saw it.
    Rejected,
}

impl Early {
    const fn of(flags: RecordFlags) -> Self {
        if flags.contains(RecordFlags::EARLY) {
            Self::Undecided
        } else if flags.contains(RecordFlags::EARLY_REFUSED) {
            Self::Rejected
        } else {
            Self::Accepted
        }
    }
}

/// A gap: bytes that crossed the edge of the library and were not captured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GapRecord {
    /// The gap.
    pub gap: Gap,
    /// See [`Data::from_start`].
    pub from_start: bool,
    /// See [`Data::early`].
    pub early: Early,
}

// The BPF programs and the decoder count positions alike.
const _: () = assert!(STRETCH == tracer_ebpf::STRETCH);

/// A parsed record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// Plaintext that a connection read or wrote.
    Data(Data<'a>),
    /// Plaintext that a connection read or wrote and that was not captured.
    Gap(GapRecord),
    /// The addresses of a connection, before its first data and when more is known.
    Facts(Facts),
    /// The parameters that a handshake negotiated.
    Tls(Box<TlsFacts>),
    /// The end of a connection, with its final positions: read, written.
    End([u64; 2]),
    /// The current positions of an open connection: read, written.
    Positions([u64; 2]),
    /// The close of the socket of a connection.
    Socket(SocketFacts),
    /// The process of [`Origin::key`] was forked, executed a program, ended, or hit a probe for the first time.
    Process(ProcessChange),
    /// A tap or a lift does not serve a connection.
    Hooks(Refusal),
}

/// Why a record could not be parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The record is shorter than its kind.
    CutShort,
    /// The kind of the record, or a code in it, is unknown.
    Unknown,
}

/// Parses one record.
pub fn parse(record: &[u8]) -> Result<(Origin, Event<'_>), Error> {
    let (header, _) = prefix::<RecordHeader>(record)?;
    let event = match header.kind {
        Kind::DATA => Event::Data(parse_data(record)?),
        Kind::PASSED => Event::Gap(parse_passed(&prefix(record)?.0)?),
        Kind::CONNECTION => Event::Facts(Facts::read(&prefix(record)?.0)?),
        Kind::TLS => Event::Tls(Box::new(TlsFacts::read(&prefix(record)?.0))),
        Kind::END => {
            let (end, _) = prefix::<EndRecord>(record)?;
            Event::End([end.read, end.written])
        }
        Kind::REACHED => {
            let (reached, _) = prefix::<EndRecord>(record)?;
            Event::Positions([reached.read, reached.written])
        }
        Kind::SOCKET => Event::Socket(SocketFacts::read(&prefix(record)?.0)?),
        Kind::HOOKS => Event::Hooks(Refusal::read(&prefix(record)?.0)?),
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

/// Returns the time at which a record was made, in nanoseconds of `CLOCK_MONOTONIC`; 0 if the record is cut short.
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

fn parse_passed(record: &PassedRecord) -> Result<GapRecord, Error> {
    let (direction, at_ns) = crossing(&record.header, record.began_ns)?;
    let cause = match record.cause {
        PassedCause::SENDFILE => GapCause::Sendfile,
        PassedCause::NOT_CAPTURED => GapCause::NotCaptured,
        PassedCause::UNREADABLE => GapCause::Unreadable,
        PassedCause::SKIPPED => GapCause::Skipped,
        _ => return Err(Error::Unknown),
    };
    Ok(GapRecord {
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

/// Returns the direction of bytes, and when they crossed the edge of the library: see [`Data::at_ns`].
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

/// Returns a text up to its first zero byte.
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
    fn a_data_record_has_a_position_and_the_number_of_bytes_over_the_limit() {
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
            early: Early::Accepted,
            bytes: b"hello",
        };
        assert_eq!(event, Event::Data(expected));
    }

    #[test]
    fn a_gap_has_a_length_unless_it_reaches_into_another_stretch() {
        let mut record = PassedRecord {
            header: header(Kind::PASSED),
            began_ns: 4,
            position: 110,
            span: 50,
            cause: PassedCause::SENDFILE,
            reserved: [0; 7],
        };
        let parsed = |record: &PassedRecord| match parse(record.as_bytes()) {
            Ok((_, Event::Gap(record))) => record,
            other => panic!("{other:?}"),
        };
        let gap = parsed(&record).gap;
        assert_eq!((gap.position, gap.bytes(), gap.at), (110, Some(50), Some(Timestamp(4))));
        (record.span, record.cause) = (STRETCH, PassedCause::NOT_CAPTURED);
        record.header.flags = RecordFlags::FROM_START;
        let unknown = parsed(&record);
        assert_eq!((unknown.gap.bytes(), unknown.gap.cause), (None, GapCause::NotCaptured));
        assert!(unknown.from_start);
        record.cause = PassedCause(9);
        assert_eq!(parse(record.as_bytes()).unwrap_err(), Error::Unknown);
    }

    #[test]
    fn a_data_record_cut_at_any_byte_is_an_error() {
        let bytes = data();
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]).unwrap_err(), Error::CutShort, "cut at {cut}");
        }
    }

    #[test]
    fn a_record_of_any_kind_cut_at_any_byte_is_an_error() {
        for kind in (Kind::DATA.0..=Kind::PASSED.0).map(Kind) {
            // A data record's size is that of its largest payload.
            let size = if kind == Kind::DATA {
                size_of::<DataRecord>()
            } else {
                max_record_size(kind).unwrap()
            };
            let mut bytes = header(kind).as_bytes().to_vec();
            bytes.resize(size, 0);
            // Zero is no change and no cause.
            if kind == Kind::PROCESS {
                bytes[size_of::<RecordHeader>() + 24] = 1;
            }
            if kind == Kind::PASSED || kind == Kind::HOOKS {
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
    fn an_unknown_kind_is_an_error() {
        assert_eq!(parse(header(Kind(77)).as_bytes()).unwrap_err(), Error::Unknown);
    }

    #[test]
    fn a_text_ends_at_its_first_zero_or_fills_the_array() {
        assert_eq!(text(b"nginx\0\0rest"), b"nginx");
        assert_eq!(
            (text(b"whole"), text(b"\0"), text(b"")),
            (&b"whole"[..], &b""[..], &b""[..])
        );
    }
}
