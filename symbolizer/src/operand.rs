//! Where a probe finds what it needs: registers, the stack, and the memory that they point to.
//!
//! Operands are data, so that one program in the kernel serves every function of every library.

/// Names a place that holds a value when a probe is hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A general register, by its number in the machine's own encoding: `rdi` is 7, `x3` is 3.
    Register(u8),
    /// So many bytes above the stack pointer.
    Stack(u16),
    /// What the function returns; known to a probe at its end only.
    Result,
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

    /// Takes the value that a pointer at a place points to.
    #[must_use]
    pub const fn behind(place: Place, width: u8) -> Self {
        Self {
            place,
            loads: [Some(0), None],
            width,
        }
    }
}
