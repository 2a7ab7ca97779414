//! Where in a function the probe goes.
//!
//! In: the machine, the code of a function and its role. Out: a [`Site`]. The kernel emulates a few instructions and
//! single-steps the rest out of line, at some twenty times the cost in a virtual machine. A probe that has a return
//! probe beside it goes where the stack pointer still points at the return address; any other may go deeper, as long as
//! its arguments are still in their registers. Refused: nothing; the first instruction always works.

use crate::code::x86_64::{Code, Needs, Place, find_place};
use crate::elf::address::{FileOffset, Vaddr};
use crate::elf::image::Machine;
use crate::role::Role;

/// Says what the kernel does with the instruction under a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// It emulates the instruction: one trap.
    Emulated,
    /// It steps over a copy of the instruction: two traps, always right.
    Stepped,
}

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
    /// `nop` of one byte.
    Nop,
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
            Self::Nop => "nop",
            Self::Endbr64 => "endbr64",
            Self::SubRsp => "sub rsp",
            Self::Paciasp => "paciasp",
            Self::Bti => "bti c",
            Self::Other => "other",
        }
    }
}

/// Describes the place of a probe: the beginning of an instruction that every call of the function passes, while the
/// arguments of its role are in their registers.
///
/// If the role [has a result](Role::has_result), the stack pointer is there what it was when the function was entered, so
/// that a return probe may be placed at the same site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// What a hit costs.
    pub tier: Tier,
    /// Where it is in memory, before the loader moves the image.
    pub address: Vaddr,
    /// Where it is in the file.
    pub offset: FileOffset,
    /// What it displaces.
    pub instruction: Instruction,
}

/// Chooses the site in a function of a role.
pub(crate) fn choose(machine: Machine, code: &[u8], address: Vaddr, offset: FileOffset, role: Role) -> Site {
    let first = |instruction| Site {
        tier: Tier::Stepped,
        address,
        offset,
        instruction,
    };
    match machine {
        Machine::X86_64 => emulated(code, address, offset, role).unwrap_or_else(|| first(decode_x86_64(code))),
        Machine::Aarch64 => first(decode_aarch64(code)),
    }
}

fn emulated(bytes: &[u8], address: Vaddr, offset: FileOffset, role: Role) -> Option<Site> {
    let needs = Needs {
        arguments: role.arguments(),
        stack: role.has_result(),
    };
    let Place { distance, instruction } = find_place(Code { bytes, address }, needs)?;
    Some(Site {
        tier: Tier::Emulated,
        address: address.checked_add(distance)?,
        offset: offset.checked_add(distance)?,
        instruction,
    })
}

/// Encodes `endbr64` (Intel SDM, volume 2).
pub(crate) const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

fn decode_x86_64(code: &[u8]) -> Instruction {
    match code {
        _ if code.starts_with(&ENDBR64) => Instruction::Endbr64,
        [0x48, 0x81 | 0x83, 0xec, ..] => Instruction::SubRsp,
        _ => Instruction::Other,
    }
}

fn decode_aarch64(code: &[u8]) -> Instruction {
    match code.first_chunk().copied().map(u32::from_le_bytes) {
        Some(0xd503_233f) => Instruction::Paciasp,
        Some(0xd503_245f) => Instruction::Bti,
        _ => Instruction::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(machine: Machine, code: &[u8], role: Role) -> (Tier, u64, Instruction) {
        let site = choose(machine, code, Vaddr(0x1000), FileOffset(0x10), role);
        assert_eq!(site.address.0 - 0x1000, site.offset.0 - 0x10, "both move together");
        (site.tier, site.offset.0 - 0x10, site.instruction)
    }

    fn x86_64(code: &[u8]) -> (Tier, u64, Instruction) {
        site(Machine::X86_64, code, Role::ReadEx)
    }

    #[test]
    fn a_push_that_comes_first_is_the_site() {
        assert_eq!(x86_64(&[0x55]), (Tier::Emulated, 0, Instruction::Push));
        assert_eq!(x86_64(&[0x41, 0x54]), (Tier::Emulated, 0, Instruction::Push));
    }

    #[test]
    fn a_push_after_the_landing_pad_is_the_site() {
        assert_eq!(
            x86_64(&[0xf3, 0x0f, 0x1e, 0xfa, 0x53]),
            (Tier::Emulated, 4, Instruction::Push)
        );
    }

    #[test]
    fn a_landing_pad_before_anything_else_is_itself_the_site() {
        let code = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x18];
        assert_eq!(x86_64(&code), (Tier::Stepped, 0, Instruction::Endbr64));
    }

    #[test]
    fn a_stack_adjustment_is_stepped() {
        assert_eq!(
            x86_64(&[0x48, 0x83, 0xec, 0x18]),
            (Tier::Stepped, 0, Instruction::SubRsp)
        );
        assert_eq!(
            x86_64(&[0x48, 0x81, 0xec, 0, 1, 0, 0]),
            (Tier::Stepped, 0, Instruction::SubRsp)
        );
    }

    #[test]
    fn a_push_of_anything_but_a_register_is_stepped() {
        assert_eq!(x86_64(&[0x6a, 0x01]), (Tier::Stepped, 0, Instruction::Other));
        assert_eq!(x86_64(&[0xff, 0x75, 0x08]), (Tier::Stepped, 0, Instruction::Other));
        assert_eq!(x86_64(&[0x48, 0x55]), (Tier::Stepped, 0, Instruction::Other));
    }

    #[test]
    fn code_that_ends_at_once_is_stepped() {
        for code in [&[][..], &[0x41], &[0xf3, 0x0f, 0x1e, 0xfa], &[0xf3, 0x0f]] {
            assert_eq!(x86_64(code).0, Tier::Stepped);
        }
    }

    #[test]
    fn a_branch_after_a_test_is_the_site_with_the_frame_and_without() {
        let code = [0x48, 0x85, 0xff, 0x74, 0x16, 0xc3]; // test rdi,rdi; je; ret
        assert_eq!(x86_64(&code), (Tier::Emulated, 3, Instruction::ConditionalJump));
        let framed = [&[0x48, 0x83, 0xec, 0x18][..], &code].concat(); // sub rsp,0x18
        assert_eq!(x86_64(&framed), (Tier::Stepped, 0, Instruction::SubRsp));
        let without_result = site(Machine::X86_64, &framed, Role::Free);
        assert_eq!(without_result, (Tier::Emulated, 7, Instruction::ConditionalJump));
    }

    #[test]
    fn a_site_after_an_argument_is_overwritten_serves_roles_that_do_not_need_it() {
        let code = [0x31, 0xf6, 0x55, 0xc3]; // xor esi,esi; push rbp; ret
        assert_eq!(
            site(Machine::X86_64, &code, Role::Clear),
            (Tier::Emulated, 2, Instruction::Push)
        );
        assert_eq!(site(Machine::X86_64, &code, Role::BioWrite).0, Tier::Stepped);
    }

    #[test]
    fn aarch64_is_probed_before_the_return_address_is_signed() {
        let paciasp = 0xd503_233f_u32.to_le_bytes();
        assert_eq!(
            site(Machine::Aarch64, &paciasp, Role::Free),
            (Tier::Stepped, 0, Instruction::Paciasp)
        );
        assert_eq!(site(Machine::Aarch64, &[0x55, 0, 0, 0], Role::Free).0, Tier::Stepped);
    }
}
