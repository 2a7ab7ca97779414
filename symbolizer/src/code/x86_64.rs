//! Instructions of x86-64 as operations.
//!
//! An instruction that is not of interest spoils the registers it writes, by the decoder's own account of it, and says
//! so if it writes memory.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums name every instruction there is"
)]

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfo, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register as Name,
};

use super::convention::Register;
use super::operation::{Condition, Destination, Lifted, Memory, Operation, Source};
use crate::elf::address::Vaddr;

const STACK: Register = 4;
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
        FlowControl::IndirectBranch => vec![Operation::Jump(slot(instruction))],
        FlowControl::Return if instruction.op_count() == 0 => vec![Operation::Return],
        FlowControl::Return | FlowControl::Interrupt => vec![Operation::Odd],
        FlowControl::Call if instruction.is_call_near() => vec![Operation::Call(target(instruction))],
        FlowControl::IndirectCall if instruction.is_call_near_indirect() => vec![Operation::Call(slot(instruction))],
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
        Mnemonic::Cmp | Mnemonic::Test => compared(instruction),
        Mnemonic::Cmove => moved_if(instruction, Condition::Equal),
        Mnemonic::Cmovne => moved_if(instruction, Condition::NotEqual),
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

/// Adds to a register; only an address on the stack is followed through it.
fn adjusted(instruction: &Instruction) -> Option<Vec<Operation>> {
    let (to, width) = register(instruction.op0_register())?;
    let Source::Constant(amount) = operand(instruction, 1, width)? else {
        return None;
    };
    let amount = amount.cast_signed();
    let offset = match instruction.mnemonic() {
        Mnemonic::Add => amount,
        _ => amount.checked_neg()?,
    };
    let from = Source::Address(Memory { base: Some(to), offset });
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

/// Spoils what an instruction writes, but for a stack pointer that moves by a known distance.
fn other(instruction: &Instruction) -> Vec<Operation> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let overwrites = info.used_memory().iter().any(|memory| writes(memory.access()));
    let mut spoiled = written(info);
    let distance = instruction.stack_pointer_increment();
    let moved = (distance != 0).then(|| {
        spoiled &= !(1 << STACK);
        let memory = Memory {
            base: Some(STACK),
            offset: distance.into(),
        };
        let from = Source::Address(memory);
        Operation::Set {
            to: STACK,
            from,
            width: 8,
        }
    });
    let overwritten = overwrites.then_some(Operation::Overwrite);
    let spoiled = [Operation::Spoil(spoiled)];
    overwritten.into_iter().chain(spoiled).chain(moved).collect()
}

/// The registers that an instruction writes, as bits.
fn written(info: &InstructionInfo) -> u32 {
    let written = info.used_registers().iter().filter(|used| writes(used.access()));
    let bits = written.filter_map(|used| number(used.register()));
    bits.fold(0, |all, register| all | 1_u32 << register)
}

const fn writes(access: OpAccess) -> bool {
    match access {
        OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess => false,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => true,
    }
}

fn operand(instruction: &Instruction, index: u32, width: u8) -> Option<Source> {
    match instruction.try_op_kind(index).ok()? {
        OpKind::Register => {
            let name = instruction.try_op_register(index).ok()?;
            // The second byte of a register is no lower part of it.
            let is_high = matches!(name, Name::AH | Name::BH | Name::CH | Name::DH);
            let is_whole = name.size() >= usize::from(width);
            number(name).filter(|_| is_whole && !is_high).map(Source::Register)
        }
        OpKind::Memory => Some(Source::Memory(memory(instruction))),
        _ => instruction.try_immediate(index).ok().map(Source::Constant),
    }
}

/// The one register an address comes from; none if there is an index, a segment or no register at all.
fn memory(instruction: &Instruction) -> Memory {
    let plain = instruction.memory_index() == Name::None && instruction.segment_prefix() == Name::None;
    let base = instruction.memory_base();
    Memory {
        base: number(base).filter(|_| plain && base.is_gpr64()),
        offset: instruction.memory_displacement64().cast_signed(),
    }
}

/// A destination that is written as a whole: the upper half of a 32-bit one is zeroed.
fn register(name: Name) -> Option<(Register, u8)> {
    let width = if name.is_gpr64() {
        8
    } else if name.is_gpr32() {
        4
    } else {
        return None;
    };
    Some((number(name)?, width))
}

fn number(name: Name) -> Option<Register> {
    let whole = name.full_register();
    let number = whole.is_gpr64().then(|| whole.number())?;
    Register::try_from(number).ok()
}

fn is_same_register(instruction: &Instruction) -> bool {
    let is_register = |kind| kind == OpKind::Register;
    is_register(instruction.op0_kind())
        && is_register(instruction.op1_kind())
        && instruction.op0_register() == instruction.op1_register()
}
