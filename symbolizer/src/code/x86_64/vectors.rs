//! Instructions on vector registers that compilers put two addresses together with, to store them at once.

use iced_x86::{Instruction, Mnemonic, OpKind, Register as Name};

use super::operands::{memory, number, operand};
use crate::code::operation::{Memory, Operation, Source};

/// How many bytes half a register has.
const HALF: u8 = 8;

/// Reads an instruction that sets or stores halves of a register; `None` if it does anything else.
pub(super) fn halves(instruction: &Instruction) -> Option<Vec<Operation>> {
    if instruction.op0_kind() == OpKind::Memory {
        return stored(instruction);
    }
    let to = number(instruction.op0_register()).filter(|_| instruction.op0_register().is_xmm())?;
    let low = |from| Operation::Set { to, from, width: HALF };
    let high = |from| Operation::SetUpper { to, from };
    match instruction.mnemonic() {
        Mnemonic::Movq | Mnemonic::Vmovq => {
            let from = operand(instruction, 1, HALF)?;
            Some(vec![low(from), high(Source::Constant(0))])
        }
        Mnemonic::Movhps => Some(vec![high(operand(instruction, 1, HALF)?)]),
        // The lower half of the second register.
        Mnemonic::Punpcklqdq => {
            let is_register = instruction.op1_kind() == OpKind::Register;
            Some(vec![high(operand(instruction, 1, HALF).filter(|_| is_register)?)])
        }
        Mnemonic::Vpunpcklqdq => {
            let is_register = instruction.op2_kind() == OpKind::Register;
            let (first, second) = (operand(instruction, 1, HALF)?, operand(instruction, 2, HALF)?);
            // What is read first must not be overwritten.
            let is_apart = second != Source::Register(to);
            (is_register && is_apart).then(|| vec![low(first), high(second)])
        }
        Mnemonic::Pinsrq => upper(instruction, 2).and_then(|()| Some(vec![high(operand(instruction, 1, HALF)?)])),
        Mnemonic::Vpinsrq => {
            upper(instruction, 3)?;
            Some(vec![
                low(operand(instruction, 1, HALF)?),
                high(operand(instruction, 2, HALF)?),
            ])
        }
        _ => None,
    }
}

/// Returns whether the operand of that number chooses the upper half.
fn upper(instruction: &Instruction, index: u32) -> Option<()> {
    let chosen = instruction.try_immediate(index).ok()?;
    (chosen & 1 == 1).then_some(())
}

/// A store of one half, or of both.
fn stored(instruction: &Instruction) -> Option<Vec<Operation>> {
    let name: Name = instruction.op1_register();
    let from = number(name).filter(|_| name.is_xmm())?;
    let to = memory(instruction);
    let low = Operation::Store {
        to,
        from: Source::Register(from),
        width: HALF,
    };
    let behind = Memory {
        offset: to.offset.checked_add(HALF.into())?,
        ..to
    };
    match instruction.mnemonic() {
        Mnemonic::Movq | Mnemonic::Vmovq => Some(vec![low]),
        Mnemonic::Movhps => Some(vec![Operation::StoreUpper { to, from }]),
        _ => Some(vec![low, Operation::StoreUpper { to: behind, from }]),
    }
}
