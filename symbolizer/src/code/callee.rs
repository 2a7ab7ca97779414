//! What a call means to its caller, as far as it is known of the function that is called.

/// Describes a function that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    /// The arguments that it takes in registers, as bits: what is left in other registers does not matter to it.
    pub(crate) takes: u32,
    /// How many bytes its arguments and results take on the stack, of a function that has them there; `None` if that is not
    /// known.
    pub(crate) stack_bytes: Option<u16>,
    /// Whether it may follow addresses that it finds in memory.
    pub(crate) finds: bool,
    pub(crate) returns: Returns,
}

/// What a function may return of the addresses that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returns {
    /// Any of them.
    Any,
    /// Its first argument, and nothing else.
    First,
    /// None.
    None,
}

impl Callee {
    /// A function of which nothing is known.
    pub(crate) const ANY: Self = Self {
        takes: u32::MAX,
        stack_bytes: None,
        finds: true,
        returns: Returns::Any,
    };

    /// Is a function of so many arguments that stores no addresses and follows none but these, to what holds none.
    pub(crate) const fn of(count: u8) -> Self {
        Self {
            takes: !(u32::MAX << count),
            stack_bytes: None,
            finds: false,
            returns: Returns::Any,
        }
    }

    /// Is the same function where all its arguments and results are on the stack, and take so many bytes.
    pub(crate) const fn on_stack(self, bytes: u16) -> Self {
        Self {
            takes: 0,
            stack_bytes: Some(bytes),
            ..self
        }
    }

    /// Returns whether it takes an argument in a register.
    pub(crate) const fn takes(self, index: usize) -> bool {
        index < 32 && self.takes >> index & 1 == 1
    }
}
