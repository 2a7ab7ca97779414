//! Records that a tap or a lift does not serve a connection.

use std::fmt::{self, Display, Formatter};

use http_decode::Direction;
use tracer_ebpf::{HooksRecord, HooksRefused};

use super::Error;

/// The tap or the lift of a direction of a connection is refused: its calls report it from then on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The direction: a tap captures what is read, a lift what is written.
    pub direction: Direction,
    /// Why.
    pub cause: RefusalCause,
}

http_decode::named_enum! {
    /// Why a tap or a lift does not serve a connection.
    #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
    pub enum RefusalCause {
        /// The connection writes to a BIO that is not the library's own for sockets.
        WriteBio => "write_bio",
        /// Its socket is not known, or another one than it reads from.
        NoSocket => "no_socket",
        /// The kernel encrypts what it writes.
        KernelTls => "kernel_tls",
        /// What was read where a record should be cannot be one.
        Implausible => "implausible",
        /// Its calls moved another number of bytes, or other ones.
        Mismatch => "mismatch",
        /// It writes early data.
        EarlyData => "early_data",
        /// None of the bytes that a call moved was captured.
        Unseen => "unseen",
    }
}

impl Refusal {
    /// Converts a record.
    pub(super) fn read(record: &HooksRecord) -> Result<Self, Error> {
        let direction = match record.header.direction {
            tracer_ebpf::Direction::READ => Direction::Read,
            tracer_ebpf::Direction::WRITE => Direction::Write,
            _ => return Err(Error::Unknown),
        };
        let cause = match record.cause {
            HooksRefused::WRITE_BIO => RefusalCause::WriteBio,
            HooksRefused::NO_SOCKET => RefusalCause::NoSocket,
            HooksRefused::KERNEL_TLS => RefusalCause::KernelTls,
            HooksRefused::IMPLAUSIBLE => RefusalCause::Implausible,
            HooksRefused::MISMATCH => RefusalCause::Mismatch,
            HooksRefused::EARLY_DATA => RefusalCause::EarlyData,
            HooksRefused::UNSEEN => RefusalCause::Unseen,
            _ => return Err(Error::Unknown),
        };
        Ok(Self { direction, cause })
    }

    /// Returns the kind of the refused hook.
    pub const fn kind(self) -> &'static str {
        match self.direction {
            Direction::Read => "tap",
            Direction::Write => "lift",
        }
    }
}

impl RefusalCause {
    /// Returns whether the hook itself is wrong for the file, and not only of no use for one kind of connection.
    pub const fn concerns_file(self) -> bool {
        match self {
            Self::Mismatch => true,
            Self::WriteBio | Self::NoSocket | Self::KernelTls | Self::Implausible | Self::EarlyData | Self::Unseen => {
                false
            }
        }
    }
}

impl Display for RefusalCause {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WriteBio => "a connection writes to a BIO of the program's own",
            Self::NoSocket => "the socket that a connection writes to is not known",
            Self::KernelTls => "the kernel encrypts what a connection writes",
            Self::Implausible => "it does not find the records of a connection",
            Self::Mismatch => "its bytes are not those of a call",
            Self::EarlyData => "a connection writes early data",
            Self::Unseen => "it missed the bytes of a call",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tracer_ebpf::Kind;
    use zerocopy::IntoBytes as _;

    use super::*;
    use crate::event::{Event, parse, tests::header};

    fn parsed(cause: u8) -> Result<Refusal, Error> {
        let record = HooksRecord {
            header: header(Kind::HOOKS),
            cause: HooksRefused(cause),
            reserved: [0; 7],
        };
        match parse(record.as_bytes())? {
            (_, Event::Hooks(refusal)) => Ok(refusal),
            (_, other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_cause_has_a_record_and_a_sentence_of_its_own() {
        let causes: Vec<_> = (1..=7).map(|cause| parsed(cause).unwrap().cause).collect();
        assert_eq!(causes, RefusalCause::ALL);
        let sentences: BTreeSet<_> = causes.iter().map(ToString::to_string).collect();
        assert_eq!(sentences.len(), causes.len());
        let of_file: Vec<_> = causes.iter().filter(|cause| cause.concerns_file()).collect();
        assert_eq!(of_file, [&RefusalCause::Mismatch]);
    }

    #[test]
    fn an_unknown_cause_is_an_error() {
        assert_eq!(parsed(0), Err(Error::Unknown));
        assert_eq!(parsed(8), Err(Error::Unknown));
    }
}
