//! Abstract values: what a register or a place on the stack is known to hold.
//!
//! The only values that matter are arguments, what chains of at most two loads from them give, addresses of the stack,
//! and numbers. A field before its structure, or whose offset does not fit 16 bits, is unknown.

/// The offset that means "unknown" to the programs in the kernel, and so is never a field's.
const UNKNOWN_OFFSET: u16 = u16::MAX;

/// An argument, or what a chain of loads from it gives: `[[argument+first]+second]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    argument: usize,
    depth: usize,
    offsets: [u16; 2],
    width: u8,
}

impl Field {
    /// The argument itself.
    pub(crate) const fn argument(argument: usize) -> Self {
        Self {
            argument,
            depth: 0,
            offsets: [0; 2],
            width: 8,
        }
    }

    /// What lies `offset` bytes behind the address this is.
    pub(super) fn load(self, offset: i64, width: u8) -> Option<Self> {
        let offset = u16::try_from(offset).ok().filter(|offset| *offset != UNKNOWN_OFFSET)?;
        let mut loaded = Self {
            depth: self.depth.checked_add(1)?,
            width,
            ..self
        };
        *loaded.offsets.get_mut(self.depth)? = offset;
        (self.width == 8).then_some(loaded)
    }

    const fn truncated(self, width: u8) -> Self {
        let width = if width < self.width { width } else { self.width };
        Self { width, ..self }
    }

    /// The argument, if this is one.
    pub(crate) const fn as_argument(self) -> Option<usize> {
        match self.as_part_of_argument() {
            Some((argument, 8)) => Some(argument),
            _ => None,
        }
    }

    /// The argument whose lower bytes this is, and how many of them; what is above them extends their sign, or is zero.
    pub(crate) const fn as_part_of_argument(self) -> Option<(usize, u8)> {
        match self.depth {
            0 => Some((self.argument, self.width)),
            _ => None,
        }
    }

    /// The offset of a field of the first argument, and how many bytes of it are loaded.
    pub(crate) const fn one(self) -> Option<(u16, u8)> {
        let [first, _] = self.offsets;
        match (self.argument, self.depth) {
            (0, 1) => Some((first, self.width)),
            _ => None,
        }
    }

    /// Both offsets of a field of what a field of the first argument points to, and how many bytes of it are loaded.
    pub(crate) const fn two(self) -> Option<([u16; 2], u8)> {
        match (self.argument, self.depth) {
            (0, 2) => Some((self.offsets, self.width)),
            _ => None,
        }
    }

    /// Returns whether it is the first word of the first argument, or a part of that.
    pub(super) const fn is_type(self) -> bool {
        matches!(self.one(), Some((0, 1..=4)))
    }
}

/// What a register or a place on the stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// Anything.
    Unknown,
    /// A number.
    Constant(u64),
    /// An address on the stack, counted from where it stood when the function was entered.
    Stack(i64),
    /// An argument or a field.
    Field(Field),
}

impl Value {
    /// Its lower bytes, extended by their sign; the sign of a number is not followed.
    pub(super) const fn sign_extended(self, width: u8) -> Self {
        match self.truncated(width) {
            Self::Field(field) => Self::Field(field),
            Self::Unknown | Self::Constant(_) | Self::Stack(_) => Self::Unknown,
        }
    }

    /// Its lower bytes, the rest zero.
    pub(super) const fn truncated(self, width: u8) -> Self {
        match (self, width) {
            (whole, 8..) => whole,
            (Self::Constant(number), 1..) => Self::Constant(number & (u64::MAX >> (64 - 8 * width as u32))),
            (Self::Field(field), 1..) => Self::Field(field.truncated(width)),
            _ => Self::Unknown,
        }
    }

    /// The same address, moved.
    pub(super) fn plus(self, amount: i64) -> Self {
        match self {
            same if amount == 0 => same,
            Self::Stack(at) => at.checked_add(amount).map_or(Self::Unknown, Self::Stack),
            Self::Constant(_) | Self::Field(_) | Self::Unknown => Self::Unknown,
        }
    }

    /// The field or argument that this is.
    pub(crate) const fn field(self) -> Option<Field> {
        match self {
            Self::Field(field) => Some(field),
            Self::Unknown | Self::Constant(_) | Self::Stack(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_two_loads_is_followed_and_no_longer_one() {
        let once = Field::argument(0).load(0x918, 8).unwrap();
        let twice = once.load(0x2f8, 8).unwrap();
        assert_eq!((once.one(), once.two()), (Some((0x918, 8)), None));
        assert_eq!((twice.one(), twice.two()), (None, Some(([0x918, 0x2f8], 8))));
        assert_eq!(twice.load(0, 8), None);
    }

    #[test]
    fn the_largest_offset_is_the_last_before_the_one_that_means_unknown() {
        let argument = Field::argument(0);
        assert!(argument.load(0xfffe, 8).is_some());
        for refused in [0xffff, 0x1_0000, -1] {
            assert_eq!(argument.load(refused, 8), None, "{refused:#x}");
        }
    }

    #[test]
    fn half_a_pointer_points_nowhere() {
        let half = Value::Field(Field::argument(0)).truncated(4);
        assert_eq!(half.field().and_then(|field| field.load(8, 8)), None);
    }

    #[test]
    fn the_lower_bytes_of_a_number_are_kept() {
        assert_eq!(Value::Constant(u64::MAX).truncated(4), Value::Constant(0xffff_ffff));
        assert_eq!(Value::Constant(0x1ff).truncated(1), Value::Constant(0xff));
        assert_eq!(Value::Stack(8).truncated(4), Value::Unknown);
    }
}
