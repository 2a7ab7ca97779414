//! What an argument leads to: a value that a chain of at most two loads gives.

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

    /// Its lower bytes: at most `width`.
    pub(super) const fn truncated(self, width: u8) -> Self {
        let width = if width < self.width { width } else { self.width };
        Self { width, ..self }
    }

    /// As many of its lower bytes as another one has, if these are fewer.
    pub(super) const fn shorter(self, other: Self) -> Self {
        self.truncated(other.width)
    }

    /// Returns whether it is as long as an address.
    pub(super) const fn is_word(self) -> bool {
        self.width == 8
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

    /// The offset of a field of what an argument points to, and how many bytes of it are loaded.
    pub(crate) const fn behind(self, argument: usize) -> Option<(u16, u8)> {
        let [first, _] = self.offsets;
        match self.depth {
            1 if self.argument == argument => Some((first, self.width)),
            _ => None,
        }
    }

    /// Both offsets of a field of what a field of an argument points to, and how many bytes of it are loaded.
    pub(crate) const fn behind_twice(self, argument: usize) -> Option<([u16; 2], u8)> {
        match self.depth {
            2 if self.argument == argument => Some((self.offsets, self.width)),
            _ => None,
        }
    }

    /// Returns whether it is the first word of the first argument, or a part of that.
    pub(super) const fn is_type(self) -> bool {
        matches!(self.one(), Some((0, 1..=4)))
    }
}
