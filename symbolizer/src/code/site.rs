//! Where in a function the probe goes.
//!
//! The kernel emulates a few instructions and single-steps the rest out of line, at some twenty times the cost in a
//! virtual machine. A probe that has a return probe beside it goes where the stack pointer still points at the return
//! address; any other may go deeper, as long as its operands are still in their registers. The first instruction always
//! works.

use super::bytes::Code;
use super::instruction::{self, Instruction};
use super::place::{Needs, Place, find_place};
use crate::elf::address::{FileOffset, Vaddr};

/// Says what the kernel does with the instruction under a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// It emulates the instruction: one trap.
    Emulated,
    /// It steps over a copy of the instruction: two traps, always right.
    Stepped,
}

/// Describes the place of a probe: the beginning of an instruction that every call of the function passes, while its
/// operands are in their registers.
///
/// Where a return probe is to be placed at the same site, the stack pointer is there what it was when the function was
/// entered.
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

/// Chooses the site in a function.
pub(crate) fn choose(code: Code<'_>, offset: FileOffset, needs: &Needs) -> Site {
    let first = || Site {
        tier: Tier::Stepped,
        address: code.address,
        offset,
        instruction: instruction::first(code.machine, code.bytes),
    };
    emulated(code, offset, needs).unwrap_or_else(first)
}

fn emulated(code: Code<'_>, offset: FileOffset, needs: &Needs) -> Option<Site> {
    let Place { distance, instruction } = find_place(code, needs)?;
    Some(Site {
        tier: Tier::Emulated,
        address: code.address.checked_add(distance)?,
        offset: offset.checked_add(distance)?,
        instruction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::convention::Convention;
    use crate::elf::machine::Machine;

    /// What a probe of a function with so many arguments needs.
    fn needs(machine: Machine, arguments: usize, stack: bool) -> Needs {
        let registers = Convention::of(machine).arguments[..arguments].to_vec();
        Needs {
            registers,
            stack,
            calls: false,
        }
    }

    fn site(machine: Machine, code: &[u8], needs: &Needs) -> (Tier, u64, Instruction) {
        let code = Code {
            machine,
            bytes: code,
            address: Vaddr(0x1000),
        };
        let site = choose(code, FileOffset(0x10), needs);
        assert_eq!(site.address.0 - 0x1000, site.offset.0 - 0x10, "both move together");
        (site.tier, site.offset.0 - 0x10, site.instruction)
    }

    fn x86_64(code: &[u8]) -> (Tier, u64, Instruction) {
        site(Machine::X86_64, code, &needs(Machine::X86_64, 4, true))
    }

    fn without_result(code: &[u8], arguments: usize) -> (Tier, u64, Instruction) {
        site(Machine::X86_64, code, &needs(Machine::X86_64, arguments, false))
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
        let deeper = without_result(&framed, 1);
        assert_eq!(deeper, (Tier::Emulated, 7, Instruction::ConditionalJump));
    }

    #[test]
    fn a_site_after_an_argument_is_overwritten_serves_who_does_not_need_it() {
        let code = [0x31, 0xf6, 0x55, 0xc3]; // xor esi,esi; push rbp; ret
        assert_eq!(without_result(&code, 1), (Tier::Emulated, 2, Instruction::Push));
        assert_eq!(without_result(&code, 3).0, Tier::Stepped);
    }

    #[test]
    fn aarch64_is_probed_before_the_return_address_is_signed() {
        let paciasp = 0xd503_233f_u32.to_le_bytes();
        let needs = needs(Machine::Aarch64, 1, false);
        assert_eq!(
            site(Machine::Aarch64, &paciasp, &needs),
            (Tier::Stepped, 0, Instruction::Paciasp)
        );
        assert_eq!(site(Machine::Aarch64, &[0x55, 0, 0, 0], &needs).0, Tier::Stepped);
    }

    #[test]
    fn aarch64_is_probed_deeper_only_without_a_return_probe() {
        let code = [0xd503_233f_u32, 0x9000_0003, 0xd65f_03c0]; // paciasp; adrp x3; ret
        let code = code.map(u32::to_le_bytes).concat();
        let deeper = site(Machine::Aarch64, &code, &needs(Machine::Aarch64, 3, false));
        assert_eq!(deeper, (Tier::Emulated, 4, Instruction::Adrp));
        let first = site(Machine::Aarch64, &code, &needs(Machine::Aarch64, 3, true));
        assert_eq!(first, (Tier::Stepped, 0, Instruction::Paciasp));
        let fourth = site(Machine::Aarch64, &code[4..], &needs(Machine::Aarch64, 4, false));
        assert_eq!(fourth, (Tier::Emulated, 0, Instruction::Adrp), "x3 is there before it");
    }
}
