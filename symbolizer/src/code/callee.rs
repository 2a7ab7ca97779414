//! What a call means to its caller, as far as it is known of the function that is called.

/// Describes a function that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    /// The arguments that it takes in registers, as bits: what is left in other registers does not matter to it.
    pub(crate) takes: u8,
    /// Whether it may follow addresses that it finds in memory.
    pub(crate) finds: bool,
    /// Whether it returns its first argument, and nothing else.
    pub(crate) returns_first: bool,
}

impl Callee {
    /// A function of which nothing is known.
    pub(crate) const ANY: Self = Self {
        takes: u8::MAX,
        finds: true,
        returns_first: false,
    };

    /// Is a function of so many arguments that stores no addresses and follows none but these, to what holds none.
    pub(crate) const fn of(count: u8) -> Self {
        Self {
            takes: !(u8::MAX << count),
            finds: false,
            returns_first: false,
        }
    }

    /// Returns whether it takes an argument in a register.
    pub(crate) const fn takes(self, index: usize) -> bool {
        index < 8 && self.takes >> index & 1 == 1
    }
}
