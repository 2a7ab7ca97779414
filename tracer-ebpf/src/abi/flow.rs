//! Connections: their key, their carrier, and what the programs keep of each, as values with one owner each.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{AddressSource, CIPHERTEXT_BYTES, CiphertextKey, Cookie, Direction, Transfer};

/// An address in a process: of a TLS object, the stack pointer that a call was entered with, or the goroutine of a call.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct AddressKey {
    /// The address.
    pub address: u64,
    /// The process.
    pub tgid: u32,
    /// Of a goroutine's call, how many bytes below the top of the goroutine's stack it was entered; else zero. The stack may
    /// move in memory meanwhile, but this stays.
    pub below_top: u32,
}

impl AddressKey {
    /// Makes the key of an address in a process.
    pub const fn new(address: u64, tgid: u32) -> Self {
        Self {
            address,
            tgid,
            below_top: 0,
        }
    }

    /// Makes the key of a goroutine's call.
    pub const fn of_goroutine(goroutine: u64, tgid: u32, below_top: u32) -> Self {
        Self {
            address: goroutine,
            tgid,
            below_top,
        }
    }

    /// Returns whether it is the key of a goroutine's call.
    pub const fn is_of_goroutine(&self) -> bool {
        self.below_top != 0
    }
}

/// A connection. An object is used for one after another; the generation separates them.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct FlowKey {
    /// Address of the object that stands for it: an `SSL`, a `gnutls_session_t`, a `tls.Conn`, or the kernel's `struct sock`.
    pub object: u64,
    /// When it was first seen, `CLOCK_MONOTONIC` nanoseconds.
    pub generation: u64,
    /// The process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

impl FlowKey {
    /// No connection.
    pub const NONE: Self = Self::new(0, 0, 0);

    /// Makes the key of a connection.
    pub const fn new(object: u64, generation: u64, tgid: u32) -> Self {
        Self {
            object,
            generation,
            tgid,
            reserved: 0,
        }
    }

    /// Returns the key that all connections of its object have in the tables.
    pub const fn address(&self) -> AddressKey {
        AddressKey::new(self.object, self.tgid)
    }
}

/// What the programs keep of a connection: one value, so that a call looks it up once.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ConnectionState {
    /// How far it has come.
    pub flow: Flow,
    /// Who it is.
    pub identity: Identity,
    /// How it began.
    pub handshake: Handshake,
    /// Which hooks report it.
    pub hooks: Hooks,
    /// What it sends, as seen at its socket.
    pub lift: Lift,
    /// What a tap or a lift captures now, by direction: Go reads and writes one object in two threads at once.
    pub passing: [Transfer; 2],
}

impl ConnectionState {
    /// Nothing known.
    pub const NEW: Self = Self {
        flow: Flow::NEW,
        identity: Identity::NEW,
        handshake: Handshake::NEW,
        hooks: Hooks::NEW,
        lift: Lift::NEW,
        passing: [Transfer::NEW; 2],
    };
}

/// Which hooks report a direction of a connection, so that no byte is reported twice.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Owner(pub u8);

impl Owner {
    /// None has.
    pub const NONE: Self = Self(0);
    /// Those at its calls: an entry with an exit or a return.
    pub const CALL: Self = Self(1);
    /// The tap.
    pub const TAP: Self = Self(2);
    /// The lift.
    pub const LIFT: Self = Self(3);
}

/// Which hooks report a connection, and how far its calls confirm the bytes of taps and lifts.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Hooks {
    /// Positions up to which calls have confirmed the captured bytes, by direction.
    pub confirmed: [u64; 2],
    /// Bytes of hits that were left to a call, which has not reported them yet, by direction.
    pub unreported: [u64; 2],
    /// Which hooks report, by direction.
    pub owners: [Owner; 2],
    /// 1 once the byte count of a call was equal to that of the hits within it, by direction.
    pub settled: [u8; 2],
    /// Calls in a row whose byte counts differed, while `settled` is 0, by direction.
    pub doubts: [u8; 2],
    /// Why the tap or the lift is refused, by direction; 0 if it is not. With [`Self::UNSENT`], no record says so yet.
    pub refused: [u8; 2],
}

impl Hooks {
    /// Marks a refusal whose record found no room in the ring.
    pub const UNSENT: u8 = 1 << 7;

    /// Nothing known.
    pub const NEW: Self = Self {
        confirmed: [0; 2],
        unreported: [0; 2],
        owners: [Owner::NONE; 2],
        settled: [0; 2],
        doubts: [0; 2],
        refused: [0; 2],
    };
}

/// What is known of a connection's sends.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct LiftState(pub u8);

impl LiftState {
    /// Nothing: its socket is not known, or it has no lift.
    pub const UNBOUND: Self = Self(0);
    /// Its sequence is known, and not yet whether each send is a record.
    pub const BOUND: Self = Self(1);
    /// Each send is a record.
    pub const PROVEN: Self = Self(2);
}

/// What a connection sends, as seen at its socket.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Lift {
    /// How many records it had sent with its keys at the last send.
    pub sequence: u64,
    /// Bytes of the record that was reported last: the call that writes it may not have succeeded yet.
    pub bytes: u64,
    /// Address that the call at the site of the lift returns to, or, in Go, of the method that reads from a TCP socket; 0 while
    /// it is not known, or not needed.
    pub code: u64,
    /// The window of its fields at the last send, and as much as makes it a power of two.
    pub window: [u64; 8],
    /// Address of the slot of the stack that held that code at the last send; 0 for none.
    pub slot: u64,
    /// What is known of its sends.
    pub state: LiftState,
    /// 1 if the guards of the last send held.
    pub held: u8,
    /// 1 if the window was read at the last send.
    pub windowed: u8,
    /// 1 once its two BIOs were compared: they may have sockets of their own.
    pub compared: u8,
    /// Sends in a row of new records whose frame was not found.
    pub strays: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

impl Lift {
    /// Nothing known.
    pub const NEW: Self = Self {
        sequence: 0,
        bytes: 0,
        code: 0,
        window: [0; 8],
        slot: 0,
        state: LiftState::UNBOUND,
        held: 0,
        windowed: 0,
        compared: 0,
        strays: 0,
        reserved: [0; 3],
    };
}

/// Whether writes are within a call that sends what was accepted before, so that they are not new.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct FlushState(pub u8);

impl FlushState {
    /// They are new.
    pub const NONE: Self = Self(0);
    /// They are not.
    pub const WITHIN: Self = Self(1);
    /// Such a call began whose return is not seen: from then on nobody knows.
    pub const UNKNOWN: Self = Self(2);
}

/// How far a connection has come; changes with every call.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Flow {
    /// When it was first seen, `CLOCK_MONOTONIC` nanoseconds.
    pub generation: u64,
    /// Positions behind the last byte that has passed, by direction.
    pub positions: [u64; 2],
    /// When bytes were last reported, by direction.
    pub reported_ns: [u64; 2],
    /// How many bytes that was.
    pub reported_bytes: [u64; 2],
    /// Positions up to which bytes are skipped, by direction, as far as they were looked up.
    pub skip_until: [u64; 2],
    /// Bytes that were skipped last, and are in no record yet, by direction.
    pub skipped: [u64; 2],
    /// Bytes that were copied last, in calls that might have been skipped, by direction.
    pub copied: [u64; 2],
    /// Bytes of early data that were written.
    pub early_bytes: u64,
    /// The cookie of the site that it was first seen at.
    pub cookie: Cookie,
    /// The directions whose last bytes were an unknown number of them, as bits.
    pub unknown: u8,
    /// Whether early data is being written, and what became of it.
    pub early: EarlyState,
    /// 1 if its generation began with a clearing of its object.
    pub cleared: u8,
    /// 1 if it was seen to begin: its object was cleared within a call that was seen from its entry.
    pub from_start: u8,
    /// 1 once it is in any record.
    pub known: u8,
    /// Whether writes are sent now that were accepted before.
    pub flushing: FlushState,
    /// 1 if what was last written is reported, and the call that is to send it has not succeeded yet.
    pub refused: u8,
    /// 1 once its object was closed, where other threads may still use the object.
    pub ended: u8,
    /// Of a connection without TLS through TCP, the sequence numbers behind the last bytes that have passed, by direction: as
    /// far as the process has read, and has written.
    pub sequences: [u32; 2],
    /// How many changes of the table of targets there were when its process was last seen to run the same program.
    pub checked: u32,
    /// Zero.
    pub reserved: u32,
}

impl Flow {
    /// Nothing has passed.
    pub const NEW: Self = Self {
        generation: 0,
        positions: [0; 2],
        reported_ns: [0; 2],
        reported_bytes: [0; 2],
        skip_until: [0; 2],
        skipped: [0; 2],
        copied: [0; 2],
        early_bytes: 0,
        cookie: Cookie(0),
        unknown: 0,
        early: EarlyState::NONE,
        cleared: 0,
        from_start: 0,
        known: 0,
        flushing: FlushState::NONE,
        refused: 0,
        ended: 0,
        sequences: [0; 2],
        checked: 0,
        reserved: 0,
    };

    /// Returns the positions behind the last byte that is in a record or was lost: read, written.
    pub const fn reported_positions(&self) -> [u64; 2] {
        let ([read, written], [read_on, written_on]) = (self.positions, self.skipped);
        [read.saturating_sub(read_on), written.saturating_sub(written_on)]
    }

    /// Returns when bytes of a direction were last reported, `CLOCK_MONOTONIC` nanoseconds; 0 if none were.
    pub const fn reported_ns(&self, direction: Direction) -> u64 {
        let [read, written] = self.reported_ns;
        match direction {
            Direction::READ => read,
            _ => written,
        }
    }
}

/// Who a connection is: changes when its descriptor or socket becomes known, or another one.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Identity {
    /// The kernel's `struct sock` that it goes through; 0 while unknown. Compared, and read with care: it may be gone.
    pub sock: u64,
    /// When the piece was remembered, `CLOCK_MONOTONIC` nanoseconds; 0 if there is none.
    pub pending_ns: u64,
    /// The ciphertext that waits for the message that sends it.
    pub piece: CiphertextKey,
    /// The descriptor that a call set plus one; 0 if none did.
    pub noted_fd: u32,
    /// How the socket was found, or why it was not.
    pub source: AddressSource,
    /// 1 once its addresses were reported.
    pub introduced: u8,
    /// 1 once its socket began to close: when the process no longer holds it, the next bytes are another connection's.
    pub closing: u8,
    /// Zero.
    pub reserved: u8,
}

impl Identity {
    /// Nothing known.
    pub const NEW: Self = Self {
        sock: 0,
        pending_ns: 0,
        piece: CiphertextKey {
            bytes: [0; CIPHERTEXT_BYTES],
            tgid: 0,
            reserved: 0,
        },
        noted_fd: 0,
        source: AddressSource::UNKNOWN_LAYOUT,
        introduced: 0,
        closing: 0,
        reserved: 0,
    };
}

/// How a connection began.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Handshake {
    /// When the handshake began, `CLOCK_MONOTONIC` nanoseconds; 0 if that was not seen.
    pub began_ns: u64,
    /// How long it took in nanoseconds; 0 while that is unknown.
    pub took_ns: u64,
    /// 1 once its result was reported.
    pub reported: u8,
    /// Zero.
    pub reserved: [u8; 7],
}

impl Handshake {
    /// Nothing known.
    pub const NEW: Self = Self {
        began_ns: 0,
        took_ns: 0,
        reported: 0,
        reserved: [0; 7],
    };
}

/// What is known of a connection's early data.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct EarlyState(pub u8);

impl EarlyState {
    /// None is being written.
    pub const NONE: Self = Self(0);
    /// The process is within a call that writes it.
    pub const WRITING: Self = Self(1);
    /// The server accepted it; there will be no more.
    pub const SETTLED: Self = Self(2);
    /// The server rejected it.
    pub const REFUSED: Self = Self(3);
    /// The process is the server, whose early data is sent in any case.
    pub const SERVER: Self = Self(4);
}

const _: () = assert!(size_of::<AddressKey>() == 16);
const _: () = assert!(size_of::<FlowKey>() == 24);
const _: () = assert!(size_of::<Flow>() == 144);
const _: () = assert!(size_of::<Identity>() == 56);
const _: () = assert!(size_of::<Handshake>() == 24);
const _: () = assert!(size_of::<Hooks>() == 40);
const _: () = assert!(size_of::<Lift>() == 104);
const _: () = assert!(size_of::<ConnectionState>() == 512);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_one_object_differ_and_share_their_place_in_the_tables() {
        let (first, second) = (FlowKey::new(1, 2, 3), FlowKey::new(1, 4, 3));
        assert_ne!(first, second);
        assert_eq!(first.address(), second.address());
        assert_ne!(first.address(), FlowKey::new(1, 2, 4).address());
    }
}
