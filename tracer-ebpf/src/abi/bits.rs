//! Properties as bits.

/// Gives types that hold bits what all of them can do.
macro_rules! bits {
    ($($name:ident),+) => {
        $(impl $name {
            /// Returns whether all bits of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Adds the bits of `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        })+
    };
}

pub(super) use bits;
