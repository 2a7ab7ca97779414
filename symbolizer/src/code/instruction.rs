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
    /// `adr` or `adrp` of aarch64, which take the address of something near.
    Adrp,
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
            Self::Adrp => "adrp",
            Self::Other => "other",
        }
    }
}

/// Encodes `endbr64` (Intel SDM, volume 2).
const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
/// Encodes `bti c` (Arm ARM, C6.2.48).
const BTI_C: u32 = 0xd503_245f;

/// Returns how many bytes the landing pad has that some code begins with.
pub(super) fn landing_pad(machine: Machine, code: &[u8]) -> u64 {
    let is_padded = match machine {
        Machine::X86_64 => code.starts_with(&ENDBR64),
        Machine::Aarch64 => code.starts_with(&BTI_C.to_le_bytes()),
    };
    if is_padded { 4 } else { 0 }
}

/// Recognises what every kernel emulates that tlscope runs on, without a change to the stack's return addresses.
pub(super) fn emulated(machine: Machine, code: &[u8]) -> Option<Instruction> {
    match machine {
        Machine::X86_64 => emulated_x86_64(code),
        Machine::Aarch64 => emulated_aarch64(code),
    }
}

/// `push r64`, `jcc`, `jmp` and `nop`, without prefixes, since Linux 4.20.
fn emulated_x86_64(code: &[u8]) -> Option<Instruction> {
    match code {
        [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..] => Some(Instruction::Push),
        [0x70..=0x7f, _, ..] | [0x0f, 0x80..=0x8f, _, _, _, _, ..] => Some(Instruction::ConditionalJump),
        [0xeb, _, ..] | [0xe9, _, _, _, _, ..] => Some(Instruction::Jump),
        [0x90, ..] => Some(Instruction::Nop),
        _ => None,
    }
}

/// `b`, `b.cond`, `cbz`, `cbnz`, `tbz`, `tbnz`, `adr` and `adrp`, since Linux 4.10 (v6.1,
/// `arch/arm64/kernel/probes/decode-insn.c`); `bc.cond`, a branch with a hint, is left out.
fn emulated_aarch64(code: &[u8]) -> Option<Instruction> {
    let word = u32::from_le_bytes(*code.first_chunk()?);
    if word & 0xff00_0010 == 0x5400_0000 || matches!(word & 0x7e00_0000, 0x3400_0000 | 0x3600_0000) {
        return Some(Instruction::ConditionalJump);
    }
    if word & 0xfc00_0000 == 0x1400_0000 {
        return Some(Instruction::Jump);
    }
    (word & 0x1f00_0000 == 0x1000_0000).then_some(Instruction::Adrp)
}

/// Recognises a call of a fixed place, which the kernel emulates too.
pub(crate) fn is_call(machine: Machine, code: &[u8]) -> bool {
    match machine {
        Machine::X86_64 => matches!(code, [0xe8, _, _, _, _, ..]),
        // bl
        Machine::Aarch64 => matches!(code, [_, _, _, 0x94..=0x97, ..]),
    }
}

/// Recognises the return of aarch64 that the kernel emulates; it refuses probes on those that check the signature of the
/// return address (v6.1, `arch/arm64/kernel/probes/decode-insn.c`).
pub(super) fn is_plain_return(code: &[u8]) -> bool {
    code.starts_with(&RET.to_le_bytes())
}

/// Encodes `ret` (Arm ARM, C6.2.309).
const RET: u32 = 0xd65f_03c0;

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
        Some(BTI_C) => Instruction::Bti,
        _ => Instruction::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_with_instructions_of_aarch64() {
        let emulated = |word: u32| emulated(Machine::Aarch64, &word.to_le_bytes());
        for (word, what, expected) in [
            (0x1400_0002, "b", Some(Instruction::Jump)),
            (0x5400_006d, "b.le", Some(Instruction::ConditionalJump)),
            (0x5400_007d, "bc.le", None),
            (0xb400_0040, "cbz", Some(Instruction::ConditionalJump)),
            (0x3500_0040, "cbnz", Some(Instruction::ConditionalJump)),
            (0x36f8_0082, "tbz", Some(Instruction::ConditionalJump)),
            (0xb7f8_0082, "tbnz", Some(Instruction::ConditionalJump)),
            (0x1000_00a1, "adr", Some(Instruction::Adrp)),
            (0x9000_0002, "adrp", Some(Instruction::Adrp)),
            (0x9400_0040, "bl", None),
            (0xd61f_0200, "br", None),
            (0x5800_0101, "ldr of a literal", None),
            (0xa9bf_7bfd, "stp", None),
            (0x9100_43fd, "add", None),
        ] {
            assert_eq!(emulated(word), expected, "{what}");
        }
        let is_call = |word: u32| is_call(Machine::Aarch64, &word.to_le_bytes());
        assert!(is_call(0x9400_0040) && is_call(0x97ff_ffff) && !is_call(0xd63f_0040));
        let is_plain_return = |word: u32| is_plain_return(&word.to_le_bytes());
        assert!(is_plain_return(0xd65f_03c0) && !is_plain_return(0xd65f_0bff), "retaa");
    }
}
