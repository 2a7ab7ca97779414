//! The records in the rings. Every record begins with a [`RecordHeader`]; a data record's payload follows it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    AddressSource, Change, Cookie, Direction, FlowKey, HooksRefused, Kind, LARGEST_CLASS, PassedCause, RecordFlags,
    STRETCH, SocketEnd,
};

/// What every record begins with: when, which connection, who.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct RecordHeader {
    /// `CLOCK_MONOTONIC` nanoseconds when the record was made; records of one connection are in this order.
    pub ts_ns: u64,
    /// The attach cookie of the site that made it.
    pub cookie: Cookie,
    /// Address of the library's object for the connection, such as an `SSL` or a `gnutls_session_t`; 0 in a record of
    /// a process.
    pub object: u64,
    /// Separates the connections that had the same object: nanoseconds when it was first seen.
    pub generation: u64,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// What follows.
    pub kind: Kind,
    /// Which way the bytes go; 0 where that means nothing.
    pub direction: Direction,
    /// Flags of a record of bytes.
    pub flags: RecordFlags,
    /// Zero.
    pub reserved: u32,
}

impl RecordHeader {
    /// Returns the key of the connection; the object and the generation are 0 in a record of a process.
    pub const fn flow(&self) -> FlowKey {
        FlowKey::new(self.object, self.generation, self.tgid)
    }
}

/// A piece of what one call moved; the payload follows.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct DataRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// `CLOCK_MONOTONIC` nanoseconds when the call began.
    pub began_ns: u64,
    /// Position of the payload's first byte in its direction.
    pub position: u64,
    /// Position of the call's first byte in its direction.
    pub call_position: u64,
    /// How many bytes the call moved.
    pub call_length: u64,
    /// How many bytes of payload are valid.
    pub captured: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bytes that passed and are in no other record. Positions go on behind them: if their number is unknown, in the next stretch
/// of [`STRETCH`] positions, so that the positions alone show the loss.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PassedRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// `CLOCK_MONOTONIC` nanoseconds when the call began.
    pub began_ns: u64,
    /// Position of the first of them in its direction.
    pub position: u64,
    /// How many positions they take: [`STRETCH`] if their number is unknown.
    pub span: u64,
    /// Why they were not captured.
    pub cause: PassedCause,
    /// Zero.
    pub reserved: [u8; 7],
}

/// Returns the position behind an unknown number of bytes; `None` if a direction has no stretch left.
pub const fn behind_unknown(position: u64) -> Option<u64> {
    position.checked_add(STRETCH)
}

/// The addresses of a connection, sent before its first data and again when more is known or its descriptor changes.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ConnectionRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// Inode of the socket; 0 when unknown.
    pub inode: u64,
    /// The traced process's own address; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Its peer's address; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Descriptor; -1 when unknown.
    pub fd: i32,
    /// The traced process's own port.
    pub local_port: u16,
    /// Its peer's port.
    pub remote_port: u16,
    /// `AF_UNIX` (1), `AF_INET` (2) or `AF_INET6` (10); 0 when the addresses are unknown.
    pub family: u16,
    /// How the socket was found, or why it was not.
    pub source: AddressSource,
    /// 1 while the addresses are unknown and the next ciphertext may identify the socket.
    pub pending: u8,
    /// Inode of the socket's network namespace; 0 when unknown.
    pub netns: u32,
    /// `AF_UNIX`: the path that the traced process's own end is bound to, as in `sun_path`; else zero.
    pub local_path: [u8; UNIX_PATH],
    /// `AF_UNIX`: the path that its peer's end is bound to; else zero.
    pub remote_path: [u8; UNIX_PATH],
}

/// Bytes of `sun_path` (`include/uapi/linux/un.h`).
pub const UNIX_PATH: usize = 108;

/// The end of a connection: its object was freed, cleared, or used for another one.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct EndRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// Position behind the last byte that was read, captured or not.
    pub read: u64,
    /// Position behind the last byte that was written, captured or not.
    pub written: u64,
}

/// A process began, was replaced by another program, or ended. The header names the process; its thread is the leader.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessRecord {
    /// When, who.
    pub header: RecordHeader,
    /// Its short name then (`task_struct.comm`), padded with zeros.
    pub name: [u8; 16],
    /// The process that forked it; 0 for any other change.
    pub parent: u32,
    /// Zero; in older tapes a count.
    pub unused: u32,
    /// What happened.
    pub change: Change,
    /// Zero.
    pub reserved: [u8; 7],
}

/// A connection's socket was destroyed: the figures of its transport.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// When it was established, `CLOCK_MONOTONIC` nanoseconds; 0 if that was not seen.
    pub opened_ns: u64,
    /// Bytes received, ciphertext (`tcp_sock.bytes_received`).
    pub received: u64,
    /// Bytes sent and acknowledged, ciphertext (`tcp_sock.bytes_acked`).
    pub acknowledged: u64,
    /// Smoothed round-trip time in microseconds; 0 if it was not measured.
    pub rtt_us: u32,
    /// Retransmitted segments.
    pub retransmits: u32,
    /// How it ended.
    pub ended: SocketEnd,
    /// Zero.
    pub reserved: [u8; 7],
}

/// What a connection's handshake agreed on, sent before its first data; each text is padded with zeros, and empty if it is
/// unknown.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct TlsRecord {
    /// When, which connection, who.
    pub header: RecordHeader,
    /// From the first call of `SSL_do_handshake` to the one that succeeded, in nanoseconds; 0 when it was not seen.
    pub handshake_ns: u64,
    /// Protocol version as on the wire (`0x0304` is TLS 1.3); 0 when unknown.
    pub version: u16,
    /// Zero.
    pub reserved: [u8; 6],
    /// Name of the cipher suite.
    pub cipher: [u8; 48],
    /// The application protocol that was agreed on.
    pub alpn: [u8; 32],
    /// The server name that the client asked for.
    pub server_name: [u8; 128],
}

/// The tap or the lift of a direction is refused: the loader has to probe the calls. Sent once per connection and direction.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct HooksRecord {
    /// When, which connection, who; its cookie is that of the site where the connection was first seen.
    pub header: RecordHeader,
    /// Why.
    pub cause: HooksRefused,
    /// Zero.
    pub reserved: [u8; 7],
}

/// Size of the largest record of a kind, so that a new kind cannot be forgotten; `None` for an unknown kind.
pub const fn max_record_size(kind: Kind) -> Option<usize> {
    match kind {
        Kind::DATA => Some(size_of::<DataRecord>() + LARGEST_CLASS),
        Kind::CONNECTION => Some(size_of::<ConnectionRecord>()),
        Kind::END | Kind::REACHED => Some(size_of::<EndRecord>()),
        Kind::PROCESS => Some(size_of::<ProcessRecord>()),
        Kind::SOCKET => Some(size_of::<SocketRecord>()),
        Kind::TLS => Some(size_of::<TlsRecord>()),
        Kind::PASSED => Some(size_of::<PassedRecord>()),
        Kind::HOOKS => Some(size_of::<HooksRecord>()),
        _ => None,
    }
}

const _: () = assert!(size_of::<RecordHeader>() == 48);
const _: () = assert!(size_of::<DataRecord>() == 88);
const _: () = assert!(size_of::<PassedRecord>() == 80);
const _: () = assert!(size_of::<ConnectionRecord>() == 320);
const _: () = assert!(size_of::<EndRecord>() == 64);
const _: () = assert!(size_of::<ProcessRecord>() == 80);
const _: () = assert!(size_of::<SocketRecord>() == 88);
const _: () = assert!(size_of::<TlsRecord>() == 272);
const _: () = assert!(size_of::<HooksRecord>() == 56);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_has_a_stretch_for_each_loss_up_to_the_last() {
        let mut position = 5;
        let mut stretches: u64 = 1;
        while let Some(next) = behind_unknown(position) {
            assert_eq!(next / STRETCH, position / STRETCH + 1);
            position = next;
            stretches += 1;
        }
        assert_eq!((stretches, position % STRETCH), (1 << 20, 5));
    }
}
