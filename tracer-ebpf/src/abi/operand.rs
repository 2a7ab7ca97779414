//! Where the operands of a probed function are: data that the loader hands to the programs, per site.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::WINDOW_BYTES;

/// A place that a value is read from when a probe fires.
///
/// 0 to 7 are the arguments of a C function. From 16 on come the registers, by their DWARF numbers: on x86-64 those of the
/// System V ABI (16 is `rax`, 23 is `rsp`), on aarch64 those of AAPCS64 (16 is `x0`, 47 is `sp`). A slot of the stack is
/// the stack pointer with an offset to load from.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Place(pub u8);

impl Place {
    /// There is no such operand.
    pub const NONE: Self = Self(0xff);
    /// The register of a function's result, once it returned.
    pub const RESULT: Self = Self(0xfe);
    /// The object of the connection whose socket sends; of a lift only.
    pub const CONNECTION: Self = Self(0xfd);
    /// The address of the slot of the stack that holds the return address of the call at the site; of a lift only.
    pub const FRAME: Self = Self(0xfc);

    /// The first of the registers.
    const REGISTERS: u8 = 16;

    /// Returns the place of the `n`th argument of a C function, from 0; [`Self::NONE`] where no register passes it.
    pub const fn argument(n: u8) -> Self {
        if n < 8 { Self(n) } else { Self::NONE }
    }

    /// Returns the place of a register, by its DWARF number; [`Self::NONE`] if no place stands for it.
    pub const fn register(number: u8) -> Self {
        if number < 32 {
            Self(Self::REGISTERS + number)
        } else {
            Self::NONE
        }
    }
}

/// How much of a register or of memory a value takes, and whether it is signed.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Width(pub u8);

impl Width {
    /// One byte, without a sign.
    pub const U8: Self = Self(1);
    /// Two bytes, without a sign.
    pub const U16: Self = Self(2);
    /// Four bytes, without a sign.
    pub const U32: Self = Self(4);
    /// Eight bytes: a size, or an address.
    pub const U64: Self = Self(8);
    /// Four bytes with a sign: a C `int`, for which the upper half of a register means nothing.
    pub const S32: Self = Self(0x84);
    /// Eight bytes with a sign.
    pub const S64: Self = Self(0x88);

    /// Returns how many bytes it takes.
    pub const fn bytes(self) -> u8 {
        self.0 & 0x7f
    }
}

/// Where one operand of a function is: a place, and up to two addresses to load from in turn.
///
/// With loads, the place holds an address: the first offset is added to it, and a pointer read there is the address for
/// the second. The last load reads the operand itself.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C, align(8))]
pub struct Operand {
    /// Where it, or the first address, is.
    pub place: Place,
    /// How much of it counts.
    pub width: Width,
    /// Offsets to load from; [`Self::UNKNOWN`] from the first on that is not used.
    pub loads: [i16; 2],
    /// How many bytes an object is before the address that is there. Of objects only.
    pub before: u16,
}

impl Operand {
    /// Marks a load that is not used.
    pub const UNKNOWN: i16 = i16::MIN;

    /// No operand.
    pub const NONE: Self = Self::at(Place::NONE, Width::U64);

    /// Makes an operand that is in a place itself.
    pub const fn at(place: Place, width: Width) -> Self {
        Self {
            place,
            width,
            loads: [Self::UNKNOWN; 2],
            before: 0,
        }
    }

    /// Makes an operand that is the `n`th argument of a C function, from 0.
    pub const fn argument(n: u8, width: Width) -> Self {
        Self::at(Place::argument(n), width)
    }

    /// Makes an operand that the `n`th argument of a C function points to.
    pub const fn behind_argument(n: u8, width: Width) -> Self {
        Self {
            place: Place::argument(n),
            width,
            loads: [0, Self::UNKNOWN],
            before: 0,
        }
    }

    /// Makes an operand that is the result of a function.
    pub const fn result(width: Width) -> Self {
        Self::at(Place::RESULT, width)
    }

    /// Returns whether the operand is in memory, at an offset from what is in a place.
    pub const fn has_one_load_from(&self, place: Place) -> bool {
        let [first, second] = self.loads;
        self.place.0 == place.0 && first != Self::UNKNOWN && second == Self::UNKNOWN
    }

    /// Returns the operand as one word, by which it is compared at once.
    pub const fn word(self) -> u64 {
        zerocopy::transmute!(self)
    }

    /// Returns whether the function has the operand.
    pub const fn is_some(&self) -> bool {
        self.place.0 != Place::NONE.0
    }
}

/// A condition of a hit: an operand that has to have a value.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Guard {
    /// The operand; [`Operand::NONE`] if there is no condition.
    pub operand: Operand,
    /// Its value, without a sign.
    pub equals: u32,
    /// Zero.
    pub reserved: u32,
}

impl Guard {
    /// No condition.
    pub const NONE: Self = Self::new(Operand::NONE, 0);

    /// Makes a condition.
    pub const fn new(operand: Operand, equals: u32) -> Self {
        Self {
            operand,
            equals,
            reserved: 0,
        }
    }
}

/// Which results mean that a function did what it was called for.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(transparent)]
pub struct Success(pub u8);

impl Success {
    /// Those above zero: for all functions of OpenSSL, and wherever the result is a count of bytes.
    pub const POSITIVE: Self = Self(0);
    /// Zero too: for `gnutls_handshake`, whose result is an error code.
    pub const NOT_NEGATIVE: Self = Self(1);
}

/// Where bytes are that may be in several pieces, as rustls lays it down since 0.23 (`OutboundChunks` in
/// `src/msgs/message/outbound.rs`).
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Pieces {
    /// Address of an array of [`Piece`]; 0 if there is one piece, and no array.
    pub array: u64,
    /// How many pieces the array has, or the address of the one piece.
    pub number: u64,
    /// Where the bytes begin in all pieces together, or how many bytes the one piece has.
    pub start: u64,
    /// Where they end.
    pub end: u64,
}

/// One of several pieces.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Piece {
    /// Its address.
    pub address: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// The operands of a site.
///
/// All but the result are read at entry; loads of the count are followed at return, when the function has written it.
/// - A read or write has all of them. Its count is the result, or what an argument points to; it is never taken to be more
///   than its length. `SSL_sendfile` has no buffer. A read whose guards do not hold leaves its bytes to be read again; the
///   bytes of such a write are elsewhere, and only their number is reported.
/// - A function that sets a descriptor has it as its `buffer`. If it has no result it is taken to succeed, and needs no
///   return probe: `gnutls_transport_set_int2(session, recv_fd, send_fd)` has the second argument as its `buffer`.
/// - A function that takes ciphertext has the BIO as its object, and a buffer with a length.
/// - All others have an object, and a handshake and early data that is written have a result.
/// - A tap has an object, a buffer, a count, and guards, each of which is read at its one hit. Where the bytes are in pieces it
///   has `pieces` in place of a buffer and a count. A tap of ciphertext has a buffer and a length.
/// - A lift has a buffer, a count, a sequence and guards, behind [`Place::CONNECTION`] or [`Place::FRAME`], which are read
///   when the connection's socket sends. Its object is the connection's.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SiteOperands {
    /// The TLS object.
    pub object: Operand,
    /// Address of the bytes that are moved; of a function that sets a descriptor, the descriptor.
    pub buffer: Operand,
    /// How many bytes may be moved at the most; of a lift, how many of them the first of its records has, if that is known.
    pub length: Operand,
    /// How many bytes were moved.
    pub count: Operand,
    /// The result, by which the function succeeded or failed.
    pub result: Operand,
    /// How many records the connection has sent with its present keys, in big-endian order.
    pub sequence: Operand,
    /// The address of [`Pieces`], which say where the bytes of a tap are.
    pub pieces: Operand,
    /// Conditions of a hit, or of a call: it has application data, where the operands say, only if all hold.
    pub guards: [Guard; 2],
    /// Which results do.
    pub success: Success,
    /// Zero.
    pub reserved: u8,
    /// Offset of the window of the operands, which is read at once: of a lift, those behind the object with one load; of a
    /// tap, those behind the stack pointer. [`Operand::UNKNOWN`] if they are read one by one.
    pub window: i16,
    /// Distance in bytes from a tap to code whose address identifies something in the process: of a library with a lift,
    /// the return address of the call at the lift's site; of Go, the method that reads from a TCP socket. 0 for none.
    pub code_distance: i32,
}

impl SiteOperands {
    /// The operands of a C function whose first argument is the object, and that has no others.
    pub const OBJECT: Self = Self {
        object: Operand::argument(0, Width::U64),
        buffer: Operand::NONE,
        length: Operand::NONE,
        count: Operand::NONE,
        result: Operand::NONE,
        sequence: Operand::NONE,
        pieces: Operand::NONE,
        guards: [Guard::NONE; 2],
        success: Success::POSITIVE,
        reserved: 0,
        window: Operand::UNKNOWN,
        code_distance: 0,
    };

    /// Returns the operands with a window, if a place has several that one holds: of one load each, and none across two of its
    /// words.
    #[must_use]
    pub fn with_window(self, place: Place) -> Self {
        let [first, second] = self.guards;
        let all = [
            self.object,
            self.buffer,
            self.length,
            self.count,
            self.sequence,
            first.operand,
            second.operand,
        ];
        let offsets = || {
            let within = all.iter().filter(|operand| operand.has_one_load_from(place));
            within.map(|operand| (operand.loads[0], usize::from(operand.width.bytes())))
        };
        let Some(window) = offsets().map(|(offset, _)| offset).min() else {
            return self;
        };
        let window = window & !7;
        let fits = |(offset, bytes): (i16, usize)| {
            let at = offset.checked_sub(window).and_then(|at| usize::try_from(at).ok());
            at.is_some_and(|at| at + bytes <= WINDOW_BYTES && at % 8 + bytes <= 8)
        };
        if offsets().count() > 1 && window != Operand::UNKNOWN && offsets().all(fits) {
            Self { window, ..self }
        } else {
            self
        }
    }
}

const _: () = assert!(size_of::<Operand>() == 8);
const _: () = assert!(size_of::<Guard>() == 16);
const _: () = assert!(size_of::<Pieces>() == 32);
const _: () = assert!(size_of::<SiteOperands>() == 96);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_registers_have_places_of_their_own() {
        let arguments = (0..=u8::MAX).map(Place::argument).filter(|place| *place != Place::NONE);
        let registers = (0..=u8::MAX).map(Place::register).filter(|place| *place != Place::NONE);
        assert_eq!((arguments.clone().count(), registers.clone().count()), (8, 32));
        assert!(
            arguments
                .chain([Place::RESULT, Place::CONNECTION, Place::FRAME, Place::NONE])
                .all(|one| registers.clone().all(|other| one != other))
        );
    }

    #[test]
    fn operands_are_equal_where_their_words_are() {
        let one = Operand::argument(2, Width::U64);
        assert_eq!(one.word(), Operand::argument(2, Width::U64).word());
        for other in [
            Operand::argument(2, Width::U32),
            Operand::behind_argument(2, Width::U64),
        ] {
            assert_ne!(one.word(), other.word());
        }
    }

    #[test]
    fn operands_of_one_place_that_are_near_each_other_share_a_window() {
        let behind = |offset, width| Operand {
            loads: [offset, Operand::UNKNOWN],
            ..Operand::at(Place::CONNECTION, width)
        };
        let site = SiteOperands {
            buffer: behind(0x1cf0, Width::U64),
            count: behind(0x1cd8, Width::U64),
            sequence: behind(0x1d00, Width::U64),
            guards: [Guard::new(behind(0x1ce4, Width::S32), 23), Guard::NONE],
            ..SiteOperands::OBJECT
        };
        assert_eq!(site.with_window(Place::CONNECTION).window, 0x1cd8);
        assert_eq!(site.with_window(Place::register(7)).window, Operand::UNKNOWN, "none");
        let alone = SiteOperands {
            buffer: behind(0x1cf0, Width::U64),
            ..SiteOperands::OBJECT
        };
        assert_eq!(alone.with_window(Place::CONNECTION).window, Operand::UNKNOWN);
        for (offset, width) in [
            (0x1d08, Width::U64),
            (0x1cf4, Width::U64),
            (0x1cfe, Width::U32),
            (-0x7000, Width::U64),
        ] {
            let far = SiteOperands {
                buffer: behind(offset, width),
                ..site
            };
            assert_eq!(
                far.with_window(Place::CONNECTION).window,
                Operand::UNKNOWN,
                "{offset:x}"
            );
        }
    }

    #[test]
    fn no_offset_that_a_load_can_have_marks_it_as_unused() {
        let behind = Operand::behind_argument(3, Width::U64);
        assert_eq!(behind.loads, [0, Operand::UNKNOWN]);
        assert_eq!(Operand::argument(3, Width::U64).loads, [Operand::UNKNOWN; 2]);
    }
}
