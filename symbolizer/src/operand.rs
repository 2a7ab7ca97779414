//! Where a probe finds what it needs: registers, the stack, and the memory that they point to.
//!
//! Operands are data, so that one program in the kernel serves every function of every library.

/// Names a place that holds a value when a probe is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A general register, by its DWARF number in the ABI of the machine: `rdi` is 5, `x3` is 3.
    Register(u8),
    /// So many bytes before the address in a register: what has the address in it begins there. For a connection only.
    Before(u8, u16),
    /// So many bytes above the stack pointer.
    Stack(u16),
    /// What the function returns; known to a probe at its end only.
    Result,
    /// The connection's own object, where the kernel knows it by the socket that sends; for a lift only.
    Connection,
    /// So many bytes above the slot of the stack that holds the address behind the site, which is a call; for a lift
    /// only, whose [`exits`](crate::Hook::exits) name that address.
    Frame(u16),
}

/// Says how to get at a value: begin with a place, then load through as many pointers as there are offsets.
///
/// A place that holds an argument is read when the function is entered; loads take place when the value is used, which
/// for the count of a call is when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Where to begin.
    pub place: Place,
    /// Offsets in bytes of the loads, in order; the first absent one ends them. All but the last load a pointer.
    pub loads: [Option<u16>; 2],
    /// How many bytes the value has; more significant ones are noise.
    pub width: u8,
}

impl Operand {
    /// Takes the value at a place.
    #[must_use]
    pub const fn at(place: Place, width: u8) -> Self {
        Self {
            place,
            loads: [None; 2],
            width,
        }
    }

    /// Takes the value that lies so many bytes behind what a pointer at a place points to.
    #[must_use]
    pub const fn loaded(place: Place, offset: u16, width: u8) -> Self {
        Self {
            place,
            loads: [Some(offset), None],
            width,
        }
    }
}

/// Says where a probe finds what its hook is about; what is absent does not exist or is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operands {
    /// The connection: the library's object for it. For a hook on ciphertext that is no tap, what takes it.
    pub object: Operand,
    /// The bytes.
    pub buffer: Option<Operand>,
    /// How many bytes the caller offers, or has room for. For a tap of ciphertext: how many bytes a record takes, whose header may
    /// be missing while there is room for it; it has a count instead if there is none. For a lift: how many the first piece has of those that are
    /// counted, as another place has it; never more than the count, and the same where there is one piece.
    pub length: Option<Operand>,
    /// How many bytes have passed, if the call was successful.
    pub count: Option<Operand>,
    /// What the connection reads from, and writes to: file descriptors, or pointers that need not be such.
    pub transports: [Option<Operand>; 2],
    /// What the function returns.
    pub result: Option<Outcome>,
    /// A number that goes up by one with every record that the connection sends, and begins anew with new keys; its first
    /// byte is the most significant one. For a lift only.
    pub sequence: Option<Operand>,
    /// Where a tap finds four words that say where the bytes are, as rustls lays down what it is to encrypt: if the first one
    /// is zero, their address and their number follow; else it is the address of an array of addresses with lengths, and the
    /// number of these pieces follows, and which bytes of all of them together are meant: from one on, up to another.
    pub pieces: Option<Operand>,
    /// What has to hold for a hit to count, such as that the bytes are a program's and no handshake's.
    pub guards: [Option<Guard>; 2],
}

/// A condition of a hook: an operand that has to have a certain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guard {
    /// The operand.
    pub operand: Operand,
    /// Its value, of which as many bytes count as the operand is wide.
    pub equals: u32,
}

/// Says what a function's result is, and which results mean that it was successful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How many bytes the result has; what the result register holds above them is noise. It is signed.
    pub width: u8,
    /// Which results mean success.
    pub success: Success,
}

/// Says which results of a function mean that it was successful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// Those over zero.
    Positive,
    /// Those that are not negative.
    NotNegative,
}

impl Operands {
    /// Says where the connection is, and nothing else.
    #[must_use]
    pub const fn of(object: Operand) -> Self {
        Self {
            object,
            buffer: None,
            length: None,
            count: None,
            transports: [None; 2],
            result: None,
            sequence: None,
            pieces: None,
            guards: [None; 2],
        }
    }

    /// Returns the registers that hold arguments of the function, by their DWARF numbers.
    #[must_use]
    pub fn registers(&self) -> Vec<u8> {
        let Self {
            object,
            buffer,
            length,
            count,
            transports: [read, written],
            result: _,
            sequence,
            pieces,
            guards: [first, second],
        } = self;
        let guarded = |guard: &'_ Option<Guard>| guard.map(|guard| guard.operand);
        let all = [
            Some(*object),
            *buffer,
            *length,
            *count,
            *read,
            *written,
            *sequence,
            *pieces,
            guarded(first),
            guarded(second),
        ];
        let register = |operand: Operand| match operand.place {
            Place::Register(register) | Place::Before(register, _) => Some(register),
            Place::Stack(_) | Place::Result | Place::Connection | Place::Frame(_) => None,
        };
        let mut registers: Vec<u8> = all.into_iter().flatten().filter_map(register).collect();
        registers.sort_unstable();
        registers.dedup();
        registers
    }
}
