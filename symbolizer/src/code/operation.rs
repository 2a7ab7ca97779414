//! What an instruction does, machine apart: the language that `x86_64` and `aarch64` translate to and `state` executes.

use super::convention::Register;
use crate::elf::address::Vaddr;

/// A place in memory whose address comes from one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    /// `None` if the address does not come from one register alone.
    pub(super) base: Option<Register>,
    pub(super) offset: i64,
    /// The registers that the address comes from if there are several, as bits.
    pub(super) several: u32,
    /// Whether one of those counts several times.
    pub(super) scaled: bool,
}

impl Memory {
    /// Returns the place `offset` bytes behind the address in a register.
    pub(super) const fn at(base: Register, offset: i64) -> Self {
        Self {
            base: Some(base),
            offset,
            several: 0,
            scaled: false,
        }
    }
}

/// What an instruction that is not followed computes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    /// The registers, as bits.
    pub(super) registers: u32,
    /// The memory, and how many bytes of it.
    pub(super) memory: Option<(Memory, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
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
    /// That a difference is below zero, or zero as well, or neither: a comparison of numbers with a sign.
    Signed(Sign),
    /// Any that is not decided.
    Other,
}

/// What a comparison of numbers with a sign asks of the left one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Asks for the sign of the difference alone, which may have overflowed.
    Negative,
    NotNegative,
}

/// Where a jump or a call leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// To this address.
    Code(Vaddr),
    /// To the address that the dynamic linker has put here.
    Slot(Vaddr),
    /// Anywhere: the target is in a register, or in memory that changes.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Zeroes what is above the width.
    Set {
        to: Register,
        from: Source,
        width: u8,
    },
    /// Extends the sign of a value of that width.
    SetSigned {
        to: Register,
        from: Source,
        width: u8,
    },
    /// As `Set`; if the condition fails, what is above the width is zeroed all the same.
    SetIf {
        when: Condition,
        to: Register,
        from: Source,
        width: u8,
    },
    Store {
        to: Memory,
        from: Source,
        width: u8,
    },
    /// Sets the upper eight of the sixteen bytes of a vector register; all else means the lower ones.
    SetUpper {
        to: Register,
        from: Source,
    },
    /// Stores the upper eight of the sixteen bytes of a vector register.
    StoreUpper {
        to: Memory,
        from: Register,
    },
    /// Sets a register to its value or another, by a condition that is not followed.
    SetPerhaps {
        to: Register,
        from: Source,
        width: u8,
    },
    /// Sets the lowest byte of a register to whether a condition holds, by the flags.
    SetFlag {
        when: Condition,
        to: Register,
    },
    /// Stores a byte that says whether a condition holds, by the flags.
    StoreFlag {
        when: Condition,
        to: Memory,
    },
    /// Adds to a register, or subtracts from it, what is no constant.
    Add {
        to: Register,
        by: Source,
        width: u8,
    },
    /// Adds to memory, or subtracts from it.
    AddTo {
        to: Memory,
        by: Source,
        width: u8,
    },
    /// Leaves anything in these registers, as bits, that comes of the inputs, and anything in the flags.
    Compute {
        to: u32,
        from: Inputs,
    },
    /// Sets registers that are not followed, such as those of vectors, to what comes of the inputs.
    Hide(Inputs),
    /// Writes memory in a way that is not followed: so many bytes, or any number from there on.
    Overwrite {
        to: Memory,
        width: Option<u8>,
        from: Inputs,
    },
    Push(Source),
    Pop(Register),
    /// Sets the flags by the difference.
    Compare {
        left: Source,
        right: Source,
        width: u8,
    },
    /// Sets the flags by the common bits.
    Test {
        left: Source,
        right: Source,
        width: u8,
    },
    Branch {
        when: Condition,
        target: Vaddr,
    },
    /// Compares and branches, whatever the flags, and leaves them alone.
    BranchOn {
        compared: (Source, Source),
        width: u8,
        when: Condition,
        target: Vaddr,
    },
    Jump(Destination),
    Call(Destination),
    /// Jumps to the address in a register or in memory that changes.
    JumpThrough(Source),
    /// Calls the function at the address in a register or in memory that changes.
    CallThrough(Source),
    Return,
    /// Ends the program.
    Trap,
    /// Ends the path in a way that compilers use for what cannot happen: an interrupt, or a return of another kind.
    Odd,
    /// Does what is not understood: a system call, a far call, a transaction.
    Opaque,
    /// Leaves anything in these registers, as bits, and in the flags.
    Spoil(u32),
}

impl Memory {
    /// Returns the registers that its address comes from, as bits.
    pub(super) const fn reads(self) -> u32 {
        match self.base {
            Some(base) => bit(base) | self.several,
            None => self.several,
        }
    }
}

impl Source {
    const fn reads(self) -> u32 {
        match self {
            Self::Register(register) => bit(register),
            Self::Constant(_) => 0,
            Self::Memory(memory) | Self::Address(memory) => memory.reads(),
        }
    }
}

impl Inputs {
    fn reads(self) -> u32 {
        self.registers | self.memory.map_or(0, |(memory, _)| memory.reads())
    }
}

impl Operation {
    /// Returns the registers that it reads, as bits.
    pub(super) fn reads(self) -> u32 {
        match self {
            Self::Set { from, .. }
            | Self::SetSigned { from, .. }
            | Self::SetUpper { from, .. }
            | Self::Push(from)
            | Self::JumpThrough(from)
            | Self::CallThrough(from) => from.reads(),
            Self::SetIf { to, from, .. } | Self::SetPerhaps { to, from, .. } | Self::Add { to, by: from, .. } => {
                bit(to) | from.reads()
            }
            Self::SetFlag { to, .. } => bit(to),
            Self::StoreUpper { to, from } => to.reads() | bit(from),
            Self::StoreFlag { to, .. } => to.reads(),
            Self::Store { to, from, .. } | Self::AddTo { to, by: from, .. } => to.reads() | from.reads(),
            Self::Overwrite { to, from, .. } => to.reads() | from.reads(),
            Self::Compute { from, .. } | Self::Hide(from) => from.reads(),
            Self::Compare { left, right, .. }
            | Self::Test { left, right, .. }
            | Self::BranchOn {
                compared: (left, right),
                ..
            } => left.reads() | right.reads(),
            Self::Pop(_)
            | Self::Branch { .. }
            | Self::Jump(_)
            | Self::Call(_)
            | Self::Return
            | Self::Trap
            | Self::Odd
            | Self::Opaque
            | Self::Spoil(_) => 0,
        }
    }

    /// Returns the registers that it writes, as bits.
    pub(super) const fn writes(self) -> u32 {
        match self {
            Self::Set { to, .. }
            | Self::SetSigned { to, .. }
            | Self::SetIf { to, .. }
            | Self::SetPerhaps { to, .. }
            | Self::SetFlag { to, .. }
            | Self::Add { to, .. }
            | Self::Pop(to) => bit(to),
            Self::Compute { to, .. } | Self::Spoil(to) => to,
            Self::Hide(_)
            | Self::Store { .. }
            | Self::SetUpper { .. }
            | Self::StoreUpper { .. }
            | Self::StoreFlag { .. }
            | Self::AddTo { .. }
            | Self::Overwrite { .. }
            | Self::Push(_)
            | Self::Compare { .. }
            | Self::Test { .. }
            | Self::Branch { .. }
            | Self::BranchOn { .. }
            | Self::Jump(_)
            | Self::Call(_)
            | Self::JumpThrough(_)
            | Self::CallThrough(_)
            | Self::Return
            | Self::Trap
            | Self::Odd
            | Self::Opaque => 0,
        }
    }
}

/// Where an operation leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the next one.
    On,
    /// To a function that returns, or not.
    Call(Target),
    Jump(Target),
    /// To the next one, or to this address.
    Branch(Vaddr),
    Return,
    /// Nowhere.
    End,
}

/// Where a jump or a call leads, and what says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Fixed(Destination),
    Through(Source),
}

impl Operation {
    /// Returns where it leads.
    pub(super) const fn way(self) -> Way {
        match self {
            Self::Call(to) => Way::Call(Target::Fixed(to)),
            Self::CallThrough(from) => Way::Call(Target::Through(from)),
            Self::Jump(to) => Way::Jump(Target::Fixed(to)),
            Self::JumpThrough(from) => Way::Jump(Target::Through(from)),
            Self::Branch { target, .. } | Self::BranchOn { target, .. } => Way::Branch(target),
            Self::Return => Way::Return,
            Self::Trap | Self::Odd | Self::Opaque => Way::End,
            Self::Set { .. }
            | Self::SetSigned { .. }
            | Self::SetIf { .. }
            | Self::SetUpper { .. }
            | Self::StoreUpper { .. }
            | Self::SetPerhaps { .. }
            | Self::SetFlag { .. }
            | Self::StoreFlag { .. }
            | Self::Add { .. }
            | Self::AddTo { .. }
            | Self::Compute { .. }
            | Self::Hide(_)
            | Self::Overwrite { .. }
            | Self::Store { .. }
            | Self::Push(_)
            | Self::Pop(_)
            | Self::Compare { .. }
            | Self::Test { .. }
            | Self::Spoil(_) => Way::On,
        }
    }
}

/// A register as a bit.
pub(super) const fn bit(register: Register) -> u32 {
    1_u32 << register
}

/// The operations of one instruction, and its length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lifted {
    pub(super) operations: Vec<Operation>,
    pub(super) length: u64,
}

impl Lifted {
    /// Returns where a jump within the code may lead.
    pub(super) fn target(&self) -> Option<Vaddr> {
        match self.operations.last()? {
            Operation::Branch { target, .. }
            | Operation::BranchOn { target, .. }
            | Operation::Jump(Destination::Code(target)) => Some(*target),
            Operation::Jump(Destination::Slot(_) | Destination::Unknown)
            | Operation::Set { .. }
            | Operation::SetSigned { .. }
            | Operation::SetIf { .. }
            | Operation::Store { .. }
            | Operation::SetUpper { .. }
            | Operation::StoreUpper { .. }
            | Operation::SetPerhaps { .. }
            | Operation::SetFlag { .. }
            | Operation::StoreFlag { .. }
            | Operation::Add { .. }
            | Operation::AddTo { .. }
            | Operation::Compute { .. }
            | Operation::Hide(_)
            | Operation::Overwrite { .. }
            | Operation::Push(_)
            | Operation::Pop(_)
            | Operation::Compare { .. }
            | Operation::Test { .. }
            | Operation::Call(_)
            | Operation::JumpThrough(_)
            | Operation::CallThrough(_)
            | Operation::Return
            | Operation::Trap
            | Operation::Odd
            | Operation::Opaque
            | Operation::Spoil(_) => None,
        }
    }

    /// Returns whether the next instruction may be executed after this one.
    pub(super) fn goes_on(&self) -> bool {
        let ends = matches!(
            self.operations.last(),
            Some(Operation::Jump(_) | Operation::JumpThrough(_) | Operation::Return | Operation::Trap | Operation::Odd)
        );
        !ends
    }
}
