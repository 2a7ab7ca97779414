//! The first instruction of a function that the kernel emulates under a probe.
//!
//! Every call passes it once, before any branch. Instructions with prefixes are left out, because some kernels step
//! those; nops of several bytes, because a probe there overwrites the red zone on some kernels; and calls, because on a
//! kernel that knows nothing of shadow stacks, an emulated call ends a process that has one.

use super::bytes::Code;
use super::convention::{Convention, Register};
use super::field::Field;
use super::instruction::{Instruction, emulated, is_call, landing_pad};
use super::lift::lift;
use super::state::State;
use super::step::Step;
use super::value::Value;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;

/// An instruction that can be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// How many bytes after the function's first it begins.
    pub(crate) distance: u64,
    pub(crate) instruction: Instruction,
}

/// Says what must be as it was when the function was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// These registers, each of which holds an argument.
    pub(crate) registers: Vec<Register>,
    /// The stack pointer: a return probe finds the return address there.
    pub(crate) stack: bool,
    /// Whether the probe may sit on a call, which some kernels emulate wrongly for a process with a shadow stack.
    pub(crate) calls: bool,
}

/// Finds the first place that gives what is needed.
pub(crate) fn find_place(code: Code<'_>, needs: &Needs) -> Option<Place> {
    let convention = Convention::of(code.machine);
    let mut state = State::at_entry(code.address, convention);
    for _ in 0..limits::SITE_INSTRUCTIONS {
        let at = state.at;
        let instruction = lift(code, at)?;
        if let Some(kind) = emulated(code.machine, code.from(at)?).or_else(|| needs.call(code, at)) {
            let place = Place {
                distance: at.0.checked_sub(code.address.0)?,
                instruction: kind,
            };
            return (needs.are_met(code, &state) && !is_entered_at(code, at)).then_some(place);
        }
        for operation in instruction.operations {
            if state.step(operation)? != Step::Next {
                return None;
            }
        }
        state.at = at.checked_add(instruction.length)?;
    }
    None
}

impl Needs {
    fn call(&self, code: Code<'_>, at: Vaddr) -> Option<Instruction> {
        let is_call = is_call(code.machine, code.from(at)?);
        (self.calls && is_call).then_some(Instruction::Call)
    }

    fn are_met(&self, code: Code<'_>, state: &State) -> bool {
        let convention = Convention::of(code.machine);
        let is_untouched = |register: &Register| {
            let argument = convention.argument_in(*register);
            argument.is_some_and(|index| state.register(*register) == Value::Field(Field::argument(index)))
        };
        let is_at_entry = match code.machine {
            Machine::X86_64 => state.is_at_return_address(),
            // The return address is in a register, which may have been signed since.
            Machine::Aarch64 => state.at == code.address,
        };
        self.registers.iter().all(is_untouched) && (!self.stack || is_at_entry)
    }
}

/// Returns whether a branch within the function leads behind its first instruction and no further than `at`: a probe
/// there would then be hit again, with other values in the registers.
fn is_entered_at(code: Code<'_>, at: Vaddr) -> bool {
    let body = code.address.checked_add(landing_pad(code.machine, code.bytes));
    let Some(body) = body.filter(|body| *body != at) else {
        return false;
    };
    let bytes = code.bytes.get(..limits::SITE_WINDOW).unwrap_or(code.bytes);
    let window = Code { bytes, ..code };
    let (mut seen, mut ahead) = (vec![false; bytes.len()], vec![body]);
    while let Some(here) = ahead.pop() {
        if !is_new(&mut seen, window, here) {
            continue;
        }
        let Some(instruction) = lift(window, here) else {
            continue;
        };
        let target = instruction.target();
        if target.is_some_and(|target| target > body && target <= at) {
            return true;
        }
        ahead.extend(target);
        ahead.extend(
            instruction
                .goes_on()
                .then(|| here.checked_add(instruction.length))
                .flatten(),
        );
    }
    false
}

/// Marks an address as visited; returns whether it lies in the code and was not visited before.
fn is_new(seen: &mut [bool], code: Code<'_>, at: Vaddr) -> bool {
    let index = at.0.checked_sub(code.address.0).and_then(|at| usize::try_from(at).ok());
    index
        .and_then(|index| seen.get_mut(index))
        .is_some_and(|seen| !std::mem::replace(seen, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(arguments: usize, stack: bool) -> Needs {
        let registers = Convention::of(Machine::X86_64).arguments[..arguments].to_vec();
        Needs {
            registers,
            stack,
            calls: false,
        }
    }

    fn with_return() -> Needs {
        needs(4, true)
    }

    fn entry_only() -> Needs {
        needs(1, false)
    }

    fn place(bytes: &[u8], needs: &Needs) -> Option<(u64, Instruction)> {
        let code = Code {
            machine: Machine::X86_64,
            bytes,
            address: Vaddr(0x1000),
        };
        find_place(code, needs).map(|place| (place.distance, place.instruction))
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
            let found = place(code, &with_return()).map(|(_, found)| found);
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
            assert_eq!(place(code, &entry_only()), None, "{code:x?}");
        }
    }

    #[test]
    fn nothing_after_a_branch_is_a_place() {
        assert_eq!(place(&[0xe3, 0x10, 0x55, 0xc3], &entry_only()), None); // jrcxz; push
        assert_eq!(place(&[0xe8, 0, 1, 0, 0, 0x55, 0xc3], &entry_only()), None); // call; push
        assert_eq!(place(&[0xc3, 0x55], &entry_only()), None); // ret; push
    }

    #[test]
    fn a_return_probe_needs_the_stack_pointer_and_any_probe_its_arguments() {
        let framed = [0x48, 0x83, 0xec, 8, 0x55, 0xc3]; // sub rsp,8; push
        assert_eq!(place(&framed, &with_return()), None);
        assert_eq!(place(&framed, &entry_only()), Some((4, Instruction::Push)));
        let shuffled = [0x89, 0xff, 0x55, 0xc3]; // mov edi,edi; push
        assert_eq!(place(&shuffled, &entry_only()), None);
        let second = [0x40, 0xb6, 1, 0x55, 0xc3]; // mov sil,1; push
        assert_eq!(place(&second, &with_return()), None);
        assert_eq!(place(&second, &entry_only()), Some((3, Instruction::Push)));
    }

    #[test]
    fn a_place_that_a_loop_comes_back_to_is_none() {
        // test rdi,rdi; je +8; mov rdi,[rdi]; jmp to the je
        let code = [0x48, 0x85, 0xff, 0x74, 5, 0x48, 0x8b, 0x3f, 0xeb, 0xf9, 0xc3];
        assert_eq!(place(&code, &entry_only()), None);
        // The loop begins after the place.
        let code = [0x48, 0x85, 0xff, 0x74, 5, 0x48, 0x8b, 0x3f, 0xeb, 0xfb, 0xc3];
        assert_eq!(place(&code, &entry_only()), Some((3, Instruction::ConditionalJump)));
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
        assert_eq!(place(&looping(limits::SITE_WINDOW - 10), &entry_only()), None);
        assert!(place(&looping(limits::SITE_WINDOW - 9), &entry_only()).is_some());
    }

    #[test]
    fn a_place_may_be_as_far_as_the_limit_and_no_further() {
        let mut code = vec![0xf8; limits::SITE_INSTRUCTIONS - 1]; // clc
        code.extend([0x55, 0xc3]);
        assert!(place(&code, &with_return()).is_some());
        code.insert(0, 0xf8);
        assert_eq!(place(&code, &with_return()), None);
    }

    #[test]
    fn code_that_ends_early_has_no_place() {
        for code in [&[][..], &[0x41], &[0x48, 0x83], &[0xe9, 0, 0], &[0x0f, 0x84, 0]] {
            assert_eq!(place(code, &entry_only()), None, "{code:x?}");
        }
    }
}
