//! The first instruction of a function that the kernel emulates under a probe.
//!
//! In: the code of a function and how many arguments must still be in their registers. Out: a [`Place`] that every
//! call passes once, before any branch. Refused: instructions with prefixes (some kernels step those), nops of several
//! bytes (a probe there overwrites the red zone on some kernels), and calls: on a kernel that does not mind shadow
//! stacks, an emulated call ends a process that has one.

use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, Register};

use super::state::writes;
use super::{ARGUMENTS, Code};
use crate::code::site::Instruction;
use crate::limits;

/// Is an instruction fit for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// How many bytes after the function's first it begins.
    pub(crate) distance: u64,
    pub(crate) instruction: Instruction,
}

/// Says what must be as it was when the function was entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// So many registers of arguments.
    pub(crate) arguments: usize,
    /// The stack pointer: a return probe finds the return address there.
    pub(crate) stack: bool,
}

/// Finds the first place that gives what is needed.
pub(crate) fn find_place(code: Code<'_>, needs: Needs) -> Option<Place> {
    let mut factory = InstructionInfoFactory::new();
    let mut at = code.address.0;
    for _ in 0..limits::SITE_INSTRUCTIONS {
        let instruction = code.decode(at)?;
        if let Some(kind) = emulated(code.from(at)?) {
            let place = Place {
                distance: at.checked_sub(code.address.0)?,
                instruction: kind,
            };
            return (!is_entered_at(code, at)).then_some(place);
        }
        let mut used = factory.info(&instruction).used_registers().iter();
        let spoils = used.any(|used| writes(used.access()) && needs.is_needed(used.register()));
        if spoils || instruction.flow_control() != FlowControl::Next {
            return None;
        }
        at = instruction.next_ip();
    }
    None
}

impl Needs {
    fn is_needed(self, register: Register) -> bool {
        let full = register.full_register();
        ARGUMENTS.iter().take(self.arguments).any(|argument| *argument == full) || (self.stack && full == Register::RSP)
    }
}

/// Recognises what every kernel since 4.20 emulates: `push r64`, `jcc`, `jmp` and `nop`, without prefixes.
fn emulated(code: &[u8]) -> Option<Instruction> {
    match code {
        [0x50..=0x57, ..] | [0x41, 0x50..=0x57, ..] => Some(Instruction::Push),
        [0x70..=0x7f, _, ..] | [0x0f, 0x80..=0x8f, _, _, _, _, ..] => Some(Instruction::ConditionalJump),
        [0xeb, _, ..] | [0xe9, _, _, _, _, ..] => Some(Instruction::Jump),
        [0x90, ..] => Some(Instruction::Nop),
        _ => None,
    }
}

/// Says whether a branch within the function leads behind its first instruction and no further than `at`: a probe there
/// would then be hit again, with other values in the registers.
fn is_entered_at(code: Code<'_>, at: u64) -> bool {
    let first = code.decode(code.address.0);
    let pad = first.filter(|first| first.mnemonic() == Mnemonic::Endbr64);
    let body = pad.map_or(code.address.0, |pad| pad.next_ip());
    if at == body {
        return false;
    }
    let bytes = code.bytes.get(..limits::SITE_WINDOW).unwrap_or(code.bytes);
    let window = Code { bytes, ..code };
    let (mut seen, mut ahead) = (vec![false; bytes.len()], vec![body]);
    while let Some(here) = ahead.pop() {
        if !is_new(&mut seen, window, here) {
            continue;
        }
        let Some(instruction) = window.decode(here) else {
            continue;
        };
        let target = branch_target(&instruction);
        if target.is_some_and(|target| target > body && target <= at) {
            return true;
        }
        ahead.extend(target);
        ahead.extend(goes_on(instruction.flow_control()).then(|| instruction.next_ip()));
    }
    false
}

fn branch_target(instruction: &iced_x86::Instruction) -> Option<u64> {
    let flow = instruction.flow_control();
    matches!(flow, FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
        .then(|| instruction.near_branch_target())
}

/// Marks an address as visited; tells whether it lies in the code and was not visited before.
fn is_new(seen: &mut [bool], code: Code<'_>, at: u64) -> bool {
    let index = at.checked_sub(code.address.0).and_then(|at| usize::try_from(at).ok());
    index
        .and_then(|index| seen.get_mut(index))
        .is_some_and(|seen| !std::mem::replace(seen, true))
}

fn goes_on(flow: FlowControl) -> bool {
    matches!(
        flow,
        FlowControl::Next | FlowControl::ConditionalBranch | FlowControl::Call | FlowControl::IndirectCall
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::address::Vaddr;

    const WITH_RETURN: Needs = Needs {
        arguments: 4,
        stack: true,
    };
    const ENTRY_ONLY: Needs = Needs {
        arguments: 1,
        stack: false,
    };

    fn place(bytes: &[u8], needs: Needs) -> Option<(u64, Instruction)> {
        let address = Vaddr(0x1000);
        find_place(Code { bytes, address }, needs).map(|place| (place.distance, place.instruction))
    }

    #[test]
    fn every_instruction_that_is_emulated_is_a_place() {
        let codes: [(&[u8], Instruction); 8] = [
            (&[0x55, 0xc3], Instruction::Push),
            (&[0x41, 0x57, 0xc3], Instruction::Push),
            (&[0x7e, 0x10, 0xc3], Instruction::ConditionalJump),
            (&[0x0f, 0x84, 0, 1, 0, 0, 0xc3], Instruction::ConditionalJump),
            (&[0xeb, 0x10], Instruction::Jump),
            (&[0xe9, 0, 1, 0, 0], Instruction::Jump),
            (&[0x90, 0xc3], Instruction::Nop),
            (&[0xf3, 0x0f, 0x1e, 0xfa, 0x90], Instruction::Nop),
        ];
        for (code, instruction) in codes {
            let found = place(code, WITH_RETURN).map(|(_, found)| found);
            assert_eq!(found, Some(instruction), "{code:x?}");
        }
    }

    #[test]
    fn what_some_kernel_steps_or_gets_wrong_is_no_place() {
        let codes: [&[u8]; 7] = [
            &[0x66, 0x90, 0xc3],             // a nop of two bytes
            &[0x0f, 0x1f, 0x44, 0, 0, 0xc3], // one of five
            &[0xf2, 0xe9, 0, 1, 0, 0],       // bnd jmp
            &[0x3e, 0x74, 0x10, 0xc3],       // a jump with a hint
            &[0xe8, 0, 1, 0, 0, 0xc3],       // call
            &[0xe3, 0x10, 0xc3],             // jrcxz
            &[0xff, 0xe0],                   // jmp rax
        ];
        for code in codes {
            assert_eq!(place(code, ENTRY_ONLY), None, "{code:x?}");
        }
    }

    #[test]
    fn nothing_after_a_branch_is_a_place() {
        assert_eq!(place(&[0xe3, 0x10, 0x55, 0xc3], ENTRY_ONLY), None); // jrcxz; push
        assert_eq!(place(&[0xe8, 0, 1, 0, 0, 0x55, 0xc3], ENTRY_ONLY), None); // call; push
        assert_eq!(place(&[0xc3, 0x55], ENTRY_ONLY), None); // ret; push
    }

    #[test]
    fn a_return_probe_needs_the_stack_pointer_and_any_probe_its_arguments() {
        let framed = [0x48, 0x83, 0xec, 8, 0x55, 0xc3]; // sub rsp,8; push
        assert_eq!(place(&framed, WITH_RETURN), None);
        assert_eq!(place(&framed, ENTRY_ONLY), Some((4, Instruction::Push)));
        let shuffled = [0x89, 0xff, 0x55, 0xc3]; // mov edi,edi; push
        assert_eq!(place(&shuffled, ENTRY_ONLY), None);
        let second = [0x40, 0xb6, 1, 0x55, 0xc3]; // mov sil,1; push
        assert_eq!(place(&second, WITH_RETURN), None);
        assert_eq!(place(&second, ENTRY_ONLY), Some((3, Instruction::Push)));
    }

    #[test]
    fn a_place_that_a_loop_comes_back_to_is_none() {
        // test rdi,rdi; je +8; mov rdi,[rdi]; jmp to the je
        let code = [0x48, 0x85, 0xff, 0x74, 5, 0x48, 0x8b, 0x3f, 0xeb, 0xf9, 0xc3];
        assert_eq!(place(&code, ENTRY_ONLY), None);
        // The loop begins after the place.
        let code = [0x48, 0x85, 0xff, 0x74, 5, 0x48, 0x8b, 0x3f, 0xeb, 0xfb, 0xc3];
        assert_eq!(place(&code, ENTRY_ONLY), Some((3, Instruction::ConditionalJump)));
    }

    #[test]
    fn a_loop_beyond_the_window_is_not_looked_for() {
        let looping = |padding: usize| {
            let mut code = vec![0x48, 0x85, 0xff, 0x74, 0]; // test rdi,rdi; je
            code.resize(5 + padding, 0xf8); // clc
            let back = i32::try_from(code.len()).unwrap() + 5 - 3;
            code.push(0xe9);
            code.extend((-back).to_le_bytes());
            code
        };
        assert_eq!(place(&looping(limits::SITE_WINDOW - 10), ENTRY_ONLY), None);
        assert!(place(&looping(limits::SITE_WINDOW - 9), ENTRY_ONLY).is_some());
    }

    #[test]
    fn a_place_may_be_as_far_as_the_limit_and_no_further() {
        let mut code = vec![0xf8; limits::SITE_INSTRUCTIONS - 1]; // clc
        code.extend([0x55, 0xc3]);
        assert!(place(&code, WITH_RETURN).is_some());
        code.insert(0, 0xf8);
        assert_eq!(place(&code, WITH_RETURN), None);
    }

    #[test]
    fn code_that_ends_early_has_no_place() {
        for code in [&[][..], &[0x41], &[0x48, 0x83], &[0xe9, 0, 0], &[0x0f, 0x84, 0]] {
            assert_eq!(place(code, ENTRY_ONLY), None, "{code:x?}");
        }
    }
}
