//! The calls a function makes, each with what is known of its arguments.
//!
//! All direct calls and tail calls within the function are listed. Calls through registers and structures are passed
//! over, and reported as such.

use super::bytes::Code;
use super::convention::Convention;
use super::flow::{Exit, Merge, Visitor, follow};
use super::lift::lift;
use super::operation::{Destination, Operation};
use super::state::State;
use super::value::Value;
use crate::elf::address::Vaddr;
use crate::limits;

/// How many arguments of a call are of interest.
pub(crate) const ARGUMENTS: usize = 5;

/// Describes one call or tail call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Where it leads; never [`Destination::Unknown`].
    pub(crate) target: Destination,
    /// What the argument registers hold then.
    pub(crate) arguments: [Value; ARGUMENTS],
}

/// Holds the calls of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) direct: Vec<Call>,
    /// Whether there are others, which may lead anywhere.
    pub(crate) has_indirect: bool,
}

/// Lists the calls of a function; `None` if its code is not understood.
pub(crate) fn calls_of(code: Code<'_>) -> Option<Calls> {
    let entry = State::at_entry(code.address, Convention::of(code.machine));
    let mut calls = Calls::default();
    follow(code, entry, Merge::Equal, limits::WRAPPER_STEPS, &mut calls)?;
    Some(calls)
}

/// Returns the slot through which a stub of the procedure linkage table jumps.
pub(crate) fn stub_slot(code: Code<'_>) -> Option<Vaddr> {
    let mut instruction = lift(code, code.address)?;
    // A landing pad has no effect.
    if matches!(instruction.operations[..], [] | [Operation::Spoil(0)]) {
        instruction = lift(code, code.address.checked_add(instruction.length)?)?;
    }
    match instruction.operations[..] {
        [Operation::Jump(Destination::Slot(slot))]
        | [Operation::Spoil(_), Operation::Jump(Destination::Slot(slot))] => Some(slot),
        _ => None,
    }
}

impl Visitor for Calls {
    fn called(&mut self, to: Destination, state: &State) {
        self.record(to, state);
    }

    fn left(&mut self, to: Exit, state: &State) {
        match to {
            // If there is no frame, or it is gone, the other function returns to our caller.
            Exit::Jump(to @ Destination::Code(_)) if state.is_at_return_address() => self.record(to, state),
            Exit::Jump(to @ (Destination::Slot(_) | Destination::Unknown)) => self.record(to, state),
            Exit::Jump(Destination::Code(_)) | Exit::End => {}
        }
    }

    fn returned(&mut self, _state: &State) {}
}

impl Calls {
    fn record(&mut self, target: Destination, state: &State) {
        if target == Destination::Unknown {
            self.has_indirect = true;
            return;
        }
        let call = Call {
            target,
            arguments: state.arguments(),
        };
        if !self.direct.contains(&call) {
            self.direct.push(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::field::Field;
    use crate::elf::machine::Machine;

    const fn x86_64(bytes: &[u8], address: Vaddr) -> Code<'_> {
        Code {
            machine: Machine::X86_64,
            bytes,
            address,
        }
    }

    fn all_calls(bytes: &[u8]) -> Option<Calls> {
        let address = Vaddr(0x1000);
        calls_of(x86_64(bytes, address))
    }

    fn calls(bytes: &[u8]) -> Option<Vec<Call>> {
        all_calls(bytes).map(|calls| {
            assert!(!calls.has_indirect);
            calls.direct
        })
    }

    fn argument(index: usize) -> Value {
        Value::Field(Field::argument(index))
    }

    #[test]
    fn a_call_is_listed_with_its_arguments() {
        // sub rsp,8; call +0x100; ret
        let code = [0x48, 0x83, 0xec, 8, 0xe8, 0, 1, 0, 0, 0xc3];
        let expected = Call {
            target: Destination::Code(Vaddr(0x1109)),
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
    fn a_call_through_a_register_or_a_structure_is_passed_over_and_reported() {
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
            Some(vec![Destination::Slot(Vaddr(0x1106)), Destination::Slot(Vaddr(0x120c))])
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
            stub_slot(x86_64(bytes, address))
        };
        assert_eq!(slot_of(&[0xff, 0x25, 0, 1, 0, 0]), Some(Vaddr(0x1106)));
        // endbr64; bnd jmp [rip+0x100]
        let padded = [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0, 1, 0, 0];
        assert_eq!(slot_of(&padded), Some(Vaddr(0x110b)));
        assert_eq!(slot_of(&[0x55, 0xc3]), None);
        assert_eq!(slot_of(&[0xff, 0x15, 0, 1, 0, 0]), None, "a call");
    }
}
