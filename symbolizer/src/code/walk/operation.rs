//! What an instruction does, machine apart.
//!
//! In: what `x86_64` and `aarch64` read. Out: operations that `state` carries out. Refused: nothing here; an
//! instruction that has no operation is refused where it is read.

/// The number of a register in the machine's own encoding.
pub(super) type Register = usize;

/// Registers of the calling convention.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convention {
    pub(super) arguments: [Register; 3],
    pub(super) result: Register,
    pub(super) stack: Register,
    /// Those that a call may change, as bits.
    pub(super) lost_in_calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// `None` if the address does not come from one register alone.
    pub(super) base: Option<Register>,
    pub(super) offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    Register(Register),
    Constant(u64),
    Memory(Memory),
    /// The address itself.
    Address(Memory),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Equal,
    NotEqual,
    /// Any that is not followed.
    Other,
}

/// Where control goes on in the function, counted from its beginning; elsewhere is outside.
pub(super) type Target = Option<usize>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Zeroes what is above the width.
    Set {
        to: Register,
        from: Operand,
        width: u8,
    },
    /// As `Set`; if the condition fails, what is above the width is zeroed all the same.
    SetIf {
        when: Condition,
        to: Register,
        from: Operand,
        width: u8,
    },
    Store {
        to: Memory,
        from: Operand,
        width: u8,
    },
    Push(Operand),
    Pop(Register),
    /// Sets the flags by the difference.
    Compare {
        left: Operand,
        right: Operand,
        width: u8,
    },
    /// Sets the flags by the common bits.
    Test {
        left: Operand,
        right: Operand,
        width: u8,
    },
    Branch {
        when: Condition,
        target: Target,
    },
    /// Compares and branches, whatever the flags, and leaves them alone.
    BranchOn {
        compared: (Operand, Operand),
        width: u8,
        when: Condition,
        target: Target,
    },
    Jump(Target),
    Call,
    Return,
    /// Ends the program.
    Trap,
    /// Leaves anything in these registers, as bits, and in the flags.
    Spoil(u32),
}

/// The operations of one instruction, and its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lifted {
    pub(super) operations: Vec<Operation>,
    pub(super) length: usize,
}
