//! The first instruction of a function that the kernel emulates under a probe.
//!
//! In: the code of a function and how many arguments must still be in their registers. Out: a [`Place`] that every
//! call passes once, before any branch. Refused: instructions with prefixes (some kernels step those), nops of several
//! bytes (a probe there overwrites the red zone on some kernels), and calls: on a kernel that does not mind shadow
//! stacks, an emulated call ends a process that has one.

use iced_x86::{FlowControl, InstructionInfoFactory, Mnemonic, Register};

use super::state::writes;
use super::{ARGUMENTS, Code};
use crate::limits;
use crate::site::Instruction;

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
    let body = match first {
        Some(pad) if pad.mnemonic() == Mnemonic::Endbr64 => pad.next_ip(),
        _ => code.address.0,
    };
    if at == body {
        return false;
    }
    let window = code.bytes.get(..limits::SITE_WINDOW).unwrap_or(code.bytes);
    let code = Code { bytes: window, ..code };
    let (mut seen, mut ahead) = (vec![false; window.len()], vec![body]);
    while let Some(start) = ahead.pop() {
        let mut next = Some(start);
        while let Some(here) = next.filter(|here| is_new(&mut seen, code, *here)) {
            let Some(instruction) = code.decode(here) else { break };
            let target = instruction.near_branch_target();
            let branches = matches!(
                instruction.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            );
            if branches && target > body && target <= at {
                return true;
            }
            if branches {
                ahead.push(target);
            }
            next = goes_on(instruction.flow_control()).then(|| instruction.next_ip());
        }
    }
    false
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
