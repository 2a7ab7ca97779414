//! The instructions under probes, by what a probe on them costs.

use crate::elf::machine::Machine;

/// Names the instruction under a probe, as far as its cost or its place is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instruction {
    /// `push` of a 64-bit register.
    Push,
    /// A conditional jump, of either size.
    ConditionalJump,
    /// A jump to a fixed place, of either size.
    Jump,
    /// A call of a fixed place. A kernel that knows nothing of shadow stacks ends a process that has one there.
    Call,
    /// `nop` of one byte.
    Nop,
    /// `ret`.
    Return,
    /// `endbr64`, the landing pad of x86-64.
    Endbr64,
    /// `sub` from the stack pointer.
    SubRsp,
    /// `paciasp`, which signs the return address: a return probe must come before it.
    Paciasp,
    /// `bti c`, the landing pad of aarch64.
    Bti,
    /// Any other.
    Other,
}

impl Instruction {
    /// Returns its usual spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::ConditionalJump => "conditional jump",
            Self::Jump => "jump",
            Self::Call => "call",
            Self::Nop => "nop",
            Self::Return => "ret",
            Self::Endbr64 => "endbr64",
            Self::SubRsp => "sub rsp",
            Self::Paciasp => "paciasp",
            Self::Bti => "bti c",
            Self::Other => "other",
        }
    }
}

/// Encodes `endbr64` (Intel SDM, volume 2).
pub(super) const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// Names the first instruction of some code, as far as a probe may sit on it.
pub(crate) fn first(machine: Machine, code: &[u8]) -> Instruction {
    match machine {
        Machine::X86_64 => first_x86_64(code),
        Machine::Aarch64 => first_aarch64(code),
    }
}

fn first_x86_64(code: &[u8]) -> Instruction {
    match code {
        _ if code.starts_with(&ENDBR64) => Instruction::Endbr64,
        [0x48, 0x81 | 0x83, 0xec, ..] => Instruction::SubRsp,
        _ => Instruction::Other,
    }
}

fn first_aarch64(code: &[u8]) -> Instruction {
    match code.first_chunk().copied().map(u32::from_le_bytes) {
        Some(0xd503_233f) => Instruction::Paciasp,
        Some(0xd503_245f) => Instruction::Bti,
        _ => Instruction::Other,
    }
}
