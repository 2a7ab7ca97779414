//! The calls a function makes, each with what is known of its arguments.
//!
//! In: the code of a small function. Out: its direct calls and tail calls along every path within it. Paths end where
//! they leave the function: the part a compiler moves away holds what it thinks unlikely. Calls through registers and
//! structures are passed over, and said to be there. Refused: code that cannot be decoded, and more paths than the limit.

use std::collections::HashSet;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, OpKind, Register};

use super::Code;
use super::state::{State, Value};
use crate::elf::address::Vaddr;
use crate::limits;

/// Says where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To this address.
    Code(Vaddr),
    /// To the address that the dynamic linker has put here.
    Slot(Vaddr),
}

/// Describes one call or tail call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) target: Target,
    /// What the argument registers hold then.
    pub(crate) arguments: [Value; 5],
}

/// Holds the calls of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) direct: Vec<Call>,
    /// Whether there are others, which may go anywhere.
    pub(crate) has_indirect: bool,
}

/// Lists the calls of a function; `None` if its code is not understood.
pub(crate) fn calls_of(code: Code<'_>) -> Option<Calls> {
    let mut walk = Walk {
        code,
        factory: InstructionInfoFactory::new(),
        steps: limits::WRAPPER_STEPS,
        ahead: vec![(code.address.0, State::at_entry())],
        seen: HashSet::new(),
        calls: Calls::default(),
    };
    while let Some((at, state)) = walk.ahead.pop() {
        walk.path(at, state)?;
    }
    Some(walk.calls)
}

/// Returns the slot through which a stub of the procedure linkage table jumps.
pub(crate) fn stub_slot(code: Code<'_>) -> Option<Vaddr> {
    let first = code.decode(code.address.0)?;
    let jump = if first.mnemonic() == iced_x86::Mnemonic::Endbr64 {
        code.decode(first.next_ip())?
    } else {
        first
    };
    (jump.flow_control() == FlowControl::IndirectBranch)
        .then(|| slot(&jump))
        .flatten()
}

struct Walk<'data> {
    code: Code<'data>,
    factory: InstructionInfoFactory,
    steps: usize,
    /// Where paths go on that have not been followed.
    ahead: Vec<(u64, State)>,
    /// Where paths have been, after a branch.
    seen: HashSet<(u64, State)>,
    calls: Calls,
}

impl Walk<'_> {
    /// Follows one path to its end; `None` if it is not understood.
    fn path(&mut self, mut at: u64, mut state: State) -> Option<()> {
        if !self.seen.insert((at, state.clone())) {
            return Some(());
        }
        while self.code.contains(at) {
            self.steps = self.steps.checked_sub(1)?;
            let instruction = self.code.decode(at)?;
            at = instruction.next_ip();
            match instruction.flow_control() {
                FlowControl::Next => state.step(&instruction, &mut self.factory),
                FlowControl::Call | FlowControl::IndirectCall => self.call(&instruction, &mut state)?,
                FlowControl::ConditionalBranch => {
                    state.step(&instruction, &mut self.factory);
                    self.branch(instruction.near_branch_target(), state.clone());
                }
                FlowControl::UnconditionalBranch => {
                    self.branch(instruction.near_branch_target(), state);
                    return Some(());
                }
                FlowControl::IndirectBranch => {
                    self.record(slot(&instruction).map(Target::Slot), &state);
                    return Some(());
                }
                FlowControl::Return | FlowControl::Exception | FlowControl::Interrupt => return Some(()),
                FlowControl::XbeginXabortXend => return None,
            }
        }
        Some(())
    }

    fn call(&mut self, instruction: &Instruction, state: &mut State) -> Option<()> {
        let target = if instruction.is_call_near() {
            Some(Target::Code(Vaddr(instruction.near_branch_target())))
        } else if instruction.is_call_near_indirect() {
            slot(instruction).map(Target::Slot)
        } else {
            return None;
        };
        self.record(target, state);
        state.forget_call_clobbered();
        Some(())
    }

    fn branch(&mut self, target: u64, state: State) {
        if self.code.contains(target) {
            self.ahead.push((target, state));
        } else if state.get(Register::RSP) == Value::Stack(0) {
            // The frame is gone, or there is none: the other function returns to our caller.
            self.record(Some(Target::Code(Vaddr(target))), &state);
        }
    }

    fn record(&mut self, target: Option<Target>, state: &State) {
        let Some(target) = target else {
            self.calls.has_indirect = true;
            return;
        };
        let call = Call {
            target,
            arguments: state.arguments(),
        };
        if !self.calls.direct.contains(&call) {
            self.calls.direct.push(call);
        }
    }
}

/// Returns the address an indirect branch takes its target from, where that is a fixed one.
fn slot(branch: &Instruction) -> Option<Vaddr> {
    let is_fixed = branch.op0_kind() == OpKind::Memory && branch.is_ip_rel_memory_operand();
    is_fixed.then(|| Vaddr(branch.ip_rel_memory_address()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_calls(bytes: &[u8]) -> Option<Calls> {
        let address = Vaddr(0x1000);
        calls_of(Code { bytes, address })
    }

    fn calls(bytes: &[u8]) -> Option<Vec<Call>> {
        all_calls(bytes).map(|calls| {
            assert!(!calls.has_indirect);
            calls.direct
        })
    }

    const fn argument(index: u8) -> Value {
        Value::Argument(index)
    }

    #[test]
    fn a_call_is_listed_with_its_arguments() {
        // sub rsp,8; call +0x100; ret
        let code = [0x48, 0x83, 0xec, 8, 0xe8, 0, 1, 0, 0, 0xc3];
        let expected = Call {
            target: Target::Code(Vaddr(0x1109)),
            arguments: [argument(0), argument(1), argument(2), argument(3), argument(4)],
        };
        assert_eq!(calls(&code), Some(vec![expected]));
    }

    #[test]
    fn a_jump_out_of_the_function_is_a_call_only_without_a_frame() {
        let jump = [0xe9, 0, 1, 0, 0];
        assert_eq!(calls(&jump).map(|calls| calls.len()), Some(1));
        let within_frame = [&[0x53][..], &jump].concat(); // push rbx
        assert_eq!(calls(&within_frame), Some(Vec::new()));
    }

    #[test]
    fn both_sides_of_a_branch_are_followed() {
        // test edx,edx; js +6; call; ret; call; ret
        let code = [0x85, 0xd2, 0x78, 6, 0xe8, 0, 1, 0, 0, 0xc3, 0xe8, 0, 2, 0, 0, 0xc3];
        assert_eq!(calls(&code).map(|calls| calls.len()), Some(2));
    }

    #[test]
    fn a_loop_ends() {
        assert_eq!(calls(&[0xeb, 0xfe]), Some(Vec::new()));
        assert_eq!(
            calls(&[0x53, 0xeb, 0xfd]),
            None,
            "the stack pointer differs in every round"
        );
    }

    #[test]
    fn a_call_through_a_register_or_a_structure_is_passed_over_and_told() {
        let code = [0xff, 0x50, 0x60, 0xe8, 0, 1, 0, 0, 0xc3]; // call [rax+0x60]; call; ret
        let found = all_calls(&code).unwrap();
        assert!(found.has_indirect);
        assert_eq!(found.direct[0].arguments, [Value::Unknown; 5]);
        for jump in [[0xff, 0xe0, 0xc3], [0xff, 0xd0, 0xc3]] {
            let only_indirect = Calls {
                direct: Vec::new(),
                has_indirect: true,
            };
            assert_eq!(all_calls(&jump), Some(only_indirect)); // jmp rax; call rax
        }
    }

    #[test]
    fn a_call_through_a_fixed_slot_is_listed_as_one() {
        let code = [0xff, 0x15, 0, 1, 0, 0, 0xff, 0x25, 0, 2, 0, 0]; // call [rip+0x100]; jmp [rip+0x200]
        let targets = calls(&code).map(|calls| calls.iter().map(|call| call.target).collect::<Vec<_>>());
        assert_eq!(
            targets,
            Some(vec![Target::Slot(Vaddr(0x1106)), Target::Slot(Vaddr(0x120c))])
        );
    }

    #[test]
    fn bytes_that_are_no_code_are_not_understood() {
        assert_eq!(calls(&[0x06, 0xc3]), None);
        assert_eq!(calls(&[0xe8, 0, 0]), None, "cut short");
        assert_eq!(calls(&[0x0f, 0x05, 0xc3]), None, "a system call");
    }

    #[test]
    fn the_steps_may_fill_their_limit_and_no_more() {
        let mut code = vec![0x90; limits::WRAPPER_STEPS - 1];
        code.push(0xc3);
        assert_eq!(calls(&code), Some(Vec::new()));
        code.insert(0, 0x90);
        assert_eq!(calls(&code), None);
    }

    #[test]
    fn the_slot_of_a_stub_is_read_with_and_without_a_landing_pad() {
        let slot_of = |bytes: &[u8]| {
            let address = Vaddr(0x1000);
            stub_slot(Code { bytes, address })
        };
        assert_eq!(slot_of(&[0xff, 0x25, 0, 1, 0, 0]), Some(Vaddr(0x1106)));
        // endbr64; bnd jmp [rip+0x100]
        let padded = [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0, 1, 0, 0];
        assert_eq!(slot_of(&padded), Some(Vaddr(0x110b)));
        assert_eq!(slot_of(&[0x55, 0xc3]), None);
        assert_eq!(slot_of(&[0xff, 0x15, 0, 1, 0, 0]), None, "a call");
    }
}
