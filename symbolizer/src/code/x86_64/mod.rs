//! Instructions of x86-64 as operations.
//!
//! An instruction that is not of interest spoils the registers it writes, by the decoder's own account of it, and says
//! so if it writes memory.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums name every instruction there is"
)]

mod operands;
mod unfollowed;
mod vectors;

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind,
};

use super::convention::Register;
use super::operation::{Condition, Destination, Lifted, Memory, Operation, Source};
use crate::elf::address::Vaddr;

use operands::{STACK, memory, operand, register};
use unfollowed::{other, written};

const FRAME: Register = 5;

/// Translates the first instruction of some bytes, which lie at `at`.
pub(super) fn lift(code: &[u8], at: Vaddr) -> Option<Lifted> {
    let mut decoder = Decoder::with_ip(64, code, at.0, DecoderOptions::NONE);
    let instruction = decoder.can_decode().then(|| decoder.decode())?;
    if instruction.is_invalid() {
        return None;
    }
    Some(Lifted {
        operations: operations(&instruction),
        length: u64::try_from(instruction.len()).ok()?,
    })
}

fn operations(instruction: &Instruction) -> Vec<Operation> {
    match instruction.flow_control() {
        FlowControl::Next => straight(instruction).unwrap_or_else(|| other(instruction)),
        FlowControl::ConditionalBranch => branch(instruction),
        FlowControl::UnconditionalBranch => vec![Operation::Jump(target(instruction))],
        FlowControl::IndirectBranch => {
            vec![through(instruction).map_or_else(|| Operation::Jump(slot(instruction)), Operation::JumpThrough)]
        }
        FlowControl::Return if instruction.op_count() == 0 => vec![Operation::Return],
        FlowControl::Return | FlowControl::Interrupt => vec![Operation::Odd],
        FlowControl::Call if instruction.is_call_near() => vec![Operation::Call(target(instruction))],
        FlowControl::IndirectCall if instruction.is_call_near_indirect() => {
            vec![through(instruction).map_or_else(|| Operation::Call(slot(instruction)), Operation::CallThrough)]
        }
        // Far calls and system calls.
        FlowControl::Call | FlowControl::IndirectCall | FlowControl::XbeginXabortXend => vec![Operation::Opaque],
        FlowControl::Exception => vec![Operation::Trap],
    }
}

/// `loop` counts down a register.
fn branch(instruction: &Instruction) -> Vec<Operation> {
    let when = match instruction.condition_code() {
        ConditionCode::e => Condition::Equal,
        ConditionCode::ne => Condition::NotEqual,
        _ => Condition::Other,
    };
    let written = written(InstructionInfoFactory::new().info(instruction));
    let target = Vaddr(instruction.near_branch_target());
    let counted = (written != 0).then_some(Operation::Spoil(written));
    counted
        .into_iter()
        .chain([Operation::Branch { when, target }])
        .collect()
}

fn target(instruction: &Instruction) -> Destination {
    Destination::Code(Vaddr(instruction.near_branch_target()))
}

/// Where an indirect branch takes its target from, if that is a fixed place.
fn slot(branch: &Instruction) -> Destination {
    if branch.op0_kind() == OpKind::Memory && branch.is_ip_rel_memory_operand() {
        Destination::Slot(Vaddr(branch.ip_rel_memory_address()))
    } else {
        Destination::Unknown
    }
}

/// Where an indirect branch takes its target from, if that is no fixed place.
fn through(branch: &Instruction) -> Option<Source> {
    let is_slot = slot(branch) != Destination::Unknown;
    operand(branch, 0, 8).filter(|_| !is_slot)
}

/// Reads the instructions whose results matter; `None` for all others.
fn straight(instruction: &Instruction) -> Option<Vec<Operation>> {
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx => moved(instruction),
        Mnemonic::Movsxd => {
            let (to, _) = register(instruction.op0_register())?;
            let width = source_width(instruction)?;
            let from = operand(instruction, 1, width)?;
            Some(vec![Operation::SetSigned { to, from, width }])
        }
        Mnemonic::Lea => {
            let (to, width) = register(instruction.op0_register())?;
            let from = Source::Address(memory(instruction));
            Some(vec![Operation::Set { to, from, width }])
        }
        Mnemonic::Xor | Mnemonic::Sub if is_same_register(instruction) => {
            let (to, width) = register(instruction.op0_register())?;
            let from = Source::Constant(0);
            Some(vec![Operation::Set { to, from, width }, Operation::Spoil(0)])
        }
        Mnemonic::Add | Mnemonic::Sub => adjusted(instruction),
        Mnemonic::Inc => stepped(instruction, 1),
        Mnemonic::Dec => stepped(instruction, -1),
        Mnemonic::Cmp | Mnemonic::Test => compared(instruction),
        Mnemonic::Cmove => moved_if(instruction, Condition::Equal),
        Mnemonic::Cmovne => moved_if(instruction, Condition::NotEqual),
        Mnemonic::Cmova
        | Mnemonic::Cmovae
        | Mnemonic::Cmovb
        | Mnemonic::Cmovbe
        | Mnemonic::Cmovg
        | Mnemonic::Cmovge
        | Mnemonic::Cmovl
        | Mnemonic::Cmovle
        | Mnemonic::Cmovno
        | Mnemonic::Cmovnp
        | Mnemonic::Cmovns
        | Mnemonic::Cmovo
        | Mnemonic::Cmovp
        | Mnemonic::Cmovs => moved_perhaps(instruction),
        Mnemonic::Movq
        | Mnemonic::Vmovq
        | Mnemonic::Movhps
        | Mnemonic::Punpcklqdq
        | Mnemonic::Vpunpcklqdq
        | Mnemonic::Pinsrq
        | Mnemonic::Vpinsrq
        | Mnemonic::Movaps
        | Mnemonic::Movups
        | Mnemonic::Movdqa
        | Mnemonic::Movdqu
        | Mnemonic::Vmovaps
        | Mnemonic::Vmovups
        | Mnemonic::Vmovdqa
        | Mnemonic::Vmovdqu => vectors::halves(instruction),
        Mnemonic::Sete => flagged(instruction, Condition::Equal),
        Mnemonic::Setne => flagged(instruction, Condition::NotEqual),
        Mnemonic::Push => (instruction.stack_pointer_increment() == -8)
            .then(|| Some(vec![Operation::Push(operand(instruction, 0, 8)?)]))
            .flatten(),
        Mnemonic::Pop => {
            let (to, width) = register(instruction.op0_register())?;
            (width == 8).then(|| vec![Operation::Pop(to)])
        }
        Mnemonic::Leave => {
            let from = Source::Register(FRAME);
            let unwound = Operation::Set {
                to: STACK,
                from,
                width: 8,
            };
            (instruction.code() == Code::Leaveq).then(|| vec![unwound, Operation::Pop(FRAME)])
        }
        _ => None,
    }
}

fn moved(instruction: &Instruction) -> Option<Vec<Operation>> {
    if instruction.op0_kind() == OpKind::Memory {
        let width = u8::try_from(instruction.memory_size().size()).ok()?;
        let (to, from) = (memory(instruction), operand(instruction, 1, width)?);
        return Some(vec![Operation::Store { to, from, width }]);
    }
    let (to, width) = register(instruction.op0_register())?;
    let width = match instruction.mnemonic() {
        Mnemonic::Movzx => source_width(instruction)?,
        _ => width,
    };
    let from = operand(instruction, 1, width)?;
    Some(vec![Operation::Set { to, from, width }])
}

fn source_width(instruction: &Instruction) -> Option<u8> {
    match instruction.op1_kind() {
        OpKind::Memory => u8::try_from(instruction.memory_size().size()).ok(),
        _ => u8::try_from(instruction.op1_register().size()).ok(),
    }
}

fn moved_if(instruction: &Instruction, when: Condition) -> Option<Vec<Operation>> {
    let (to, width) = register(instruction.op0_register())?;
    let from = operand(instruction, 1, width)?;
    Some(vec![Operation::SetIf { when, to, from, width }])
}

fn flagged(instruction: &Instruction, when: Condition) -> Option<Vec<Operation>> {
    if instruction.op0_kind() == OpKind::Memory {
        let to = memory(instruction);
        return Some(vec![Operation::StoreFlag { when, to }]);
    }
    match operand(instruction, 0, 1)? {
        Source::Register(to) => Some(vec![Operation::SetFlag { when, to }]),
        Source::Constant(_) | Source::Memory(_) | Source::Address(_) => None,
    }
}

fn moved_perhaps(instruction: &Instruction) -> Option<Vec<Operation>> {
    let (to, width) = register(instruction.op0_register())?;
    let from = operand(instruction, 1, width)?;
    Some(vec![Operation::SetPerhaps { to, from, width }])
}

/// Adds one to a register, or takes one away.
fn stepped(instruction: &Instruction, amount: i64) -> Option<Vec<Operation>> {
    let (to, width) = register(instruction.op0_register())?;
    let from = Source::Address(Memory::at(to, amount));
    Some(vec![Operation::Set { to, from, width }, Operation::Spoil(0)])
}

/// Adds to a register or to memory; only addresses are followed through it.
fn adjusted(instruction: &Instruction) -> Option<Vec<Operation>> {
    if instruction.op0_kind() == OpKind::Memory {
        let width = u8::try_from(instruction.memory_size().size()).ok()?;
        let (to, by) = (memory(instruction), operand(instruction, 1, width)?);
        return Some(vec![Operation::AddTo { to, by, width }, Operation::Spoil(0)]);
    }
    let (to, width) = register(instruction.op0_register())?;
    let by = operand(instruction, 1, width)?;
    let Source::Constant(amount) = by else {
        return Some(vec![Operation::Add { to, by, width }, Operation::Spoil(0)]);
    };
    let amount = amount.cast_signed();
    let offset = match instruction.mnemonic() {
        Mnemonic::Add => amount,
        _ => amount.checked_neg()?,
    };
    let from = Source::Address(Memory::at(to, offset));
    Some(vec![Operation::Set { to, from, width }, Operation::Spoil(0)])
}

fn compared(instruction: &Instruction) -> Option<Vec<Operation>> {
    let width = match instruction.op0_kind() {
        OpKind::Memory => u8::try_from(instruction.memory_size().size()).ok()?,
        _ => u8::try_from(instruction.op0_register().size()).ok()?,
    };
    let (left, right) = (operand(instruction, 0, width)?, operand(instruction, 1, width)?);
    Some(vec![match instruction.mnemonic() {
        Mnemonic::Cmp => Operation::Compare { left, right, width },
        _ => Operation::Test { left, right, width },
    }])
}

fn is_same_register(instruction: &Instruction) -> bool {
    let is_register = |kind| kind == OpKind::Register;
    is_register(instruction.op0_kind())
        && is_register(instruction.op1_kind())
        && instruction.op0_register() == instruction.op1_register()
}
