//! Instructions of x86-64 as operations.
//!
//! In: bytes. Out: [`Lifted`]. An instruction that is not of interest spoils the registers it writes, by the decoder's
//! own account of it. Refused: what the decoder does not know, jumps by a table, and instructions that write memory
//! in ways of their own.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums name every instruction there is"
)]

use iced_x86::{
    Code, ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register as Name,
};

use super::operation::{Condition, Convention, Lifted, Memory, Operand, Operation, Register, Target};

/// The System V calling convention.
pub(super) const CONVENTION: Convention = Convention {
    arguments: [7, 6, 2],
    result: 0,
    stack: STACK,
    // rax, rcx, rdx, rsi, rdi, r8 to r11.
    lost_in_calls: 0b1111_1100_0111,
};

const STACK: Register = 4;
const FRAME: Register = 5;

/// Reads one instruction.
pub(super) fn lift(code: &[u8], at: usize) -> Option<Lifted> {
    let address = u64::try_from(at).ok()?;
    let mut decoder = Decoder::with_ip(64, code.get(at..)?, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if instruction.is_invalid() {
        return None;
    }
    Some(Lifted {
        operations: operations(&instruction)?,
        length: instruction.len(),
    })
}

fn operations(instruction: &Instruction) -> Option<Vec<Operation>> {
    match instruction.flow_control() {
        FlowControl::Next => straight(instruction).or_else(|| other(instruction)),
        FlowControl::ConditionalBranch => branch(instruction),
        FlowControl::UnconditionalBranch => Some(vec![Operation::Jump(target(instruction))]),
        // Through a pointer of the image: to another one. Through a register: by a table.
        FlowControl::IndirectBranch => instruction
            .is_ip_rel_memory_operand()
            .then(|| vec![Operation::Jump(None)]),
        FlowControl::Return => (instruction.op_count() == 0).then(|| vec![Operation::Return]),
        FlowControl::Call | FlowControl::IndirectCall => Some(vec![Operation::Call]),
        FlowControl::Exception => Some(vec![Operation::Trap]),
        FlowControl::Interrupt | FlowControl::XbeginXabortXend => None,
    }
}

fn branch(instruction: &Instruction) -> Option<Vec<Operation>> {
    let when = match instruction.condition_code() {
        ConditionCode::None => return None,
        code => condition(code),
    };
    let target = target(instruction);
    Some(vec![Operation::Branch { when, target }])
}

fn condition(code: ConditionCode) -> Condition {
    if code == ConditionCode::e {
        Condition::Equal
    } else if code == ConditionCode::ne {
        Condition::NotEqual
    } else {
        Condition::Other
    }
}

/// An address below the function's beginning wraps around, and is outside like one behind its end.
fn target(instruction: &Instruction) -> Target {
    usize::try_from(instruction.near_branch_target()).ok()
}

/// Reads the instructions whose results matter; `None` for all others.
fn straight(instruction: &Instruction) -> Option<Vec<Operation>> {
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx => moved(instruction),
        Mnemonic::Lea => {
            let (to, width) = register(instruction.op0_register())?;
            let from = Operand::Address(memory(instruction));
            Some(vec![Operation::Set { to, from, width }])
        }
        Mnemonic::Xor | Mnemonic::Sub if is_same_register(instruction) => {
            let (to, width) = register(instruction.op0_register())?;
            let from = Operand::Constant(0);
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
            let from = Operand::Register(FRAME);
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
    let Operand::Constant(amount) = operand(instruction, 1, width)? else {
        return None;
    };
    let amount = amount.cast_signed();
    let offset = match instruction.mnemonic() {
        Mnemonic::Add => amount,
        _ => amount.checked_neg()?,
    };
    let from = Operand::Address(Memory { base: Some(to), offset });
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

/// Spoils what an instruction writes.
fn other(instruction: &Instruction) -> Option<Vec<Operation>> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    if info.used_memory().iter().any(|memory| writes(memory.access())) {
        return None;
    }
    let written = info.used_registers().iter().filter(|used| writes(used.access()));
    let bits = written.filter_map(|used| number(used.register()));
    let registers = bits.fold(0, |all, register| all | 1_u32 << register);
    Some(vec![Operation::Spoil(registers)])
}

const fn writes(access: OpAccess) -> bool {
    match access {
        OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess => false,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => true,
    }
}

fn operand(instruction: &Instruction, index: u32, width: u8) -> Option<Operand> {
    match instruction.try_op_kind(index).ok()? {
        OpKind::Register => {
            let name = instruction.try_op_register(index).ok()?;
            // The second byte of a register is no lower part of it.
            let is_high = matches!(name, Name::AH | Name::BH | Name::CH | Name::DH);
            let is_whole = name.size() >= usize::from(width);
            number(name).filter(|_| is_whole && !is_high).map(Operand::Register)
        }
        OpKind::Memory => Some(Operand::Memory(memory(instruction))),
        _ => instruction.try_immediate(index).ok().map(Operand::Constant),
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
    whole.is_gpr64().then(|| whole.number())
}

fn is_same_register(instruction: &Instruction) -> bool {
    let is_register = |kind| kind == OpKind::Register;
    is_register(instruction.op0_kind())
        && is_register(instruction.op1_kind())
        && instruction.op0_register() == instruction.op1_register()
}
