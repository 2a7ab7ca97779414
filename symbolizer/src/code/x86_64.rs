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
    Mnemonic, OpAccess, OpKind, Register as Name, UsedMemory,
};

use super::convention::Register;
use super::operation::{Condition, Destination, Inputs, Lifted, Memory, Operation, Sign, Source};
use crate::elf::address::Vaddr;

/// How many general registers there are.
const GENERAL: usize = 16;
/// How many registers have numbers; the upper half of the vector registers of AVX-512 has none.
const REGISTERS: Register = 32;
const RESULT: Register = 0;
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
        ConditionCode::l => Condition::Signed(Sign::Less),
        ConditionCode::le => Condition::Signed(Sign::LessOrEqual),
        ConditionCode::g => Condition::Signed(Sign::Greater),
        ConditionCode::ge => Condition::Signed(Sign::GreaterOrEqual),
        ConditionCode::s => Condition::Signed(Sign::Negative),
        ConditionCode::ns => Condition::Signed(Sign::NotNegative),
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
        Mnemonic::Cdqe => Some(vec![Operation::SetSigned {
            to: RESULT,
            from: Source::Register(RESULT),
            width: 4,
        }]),
        Mnemonic::Or if instruction.try_immediate(1).is_ok_and(|bits| bits == u64::MAX) => {
            let (to, width) = register(instruction.op0_register())?;
            let from = Source::Constant(u64::MAX);
            Some(vec![Operation::Set { to, from, width }, Operation::Spoil(0)])
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

/// Spoils what an instruction writes, but for a stack pointer that moves by a known distance.
fn other(instruction: &Instruction) -> Vec<Operation> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let from = inputs(instruction, info);
    let is_repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    let written_memory = info.used_memory().iter().filter(|memory| writes(memory.access()));
    let overwritten = written_memory.map(|memory| Operation::Overwrite {
        to: place(memory),
        width: size(memory).filter(|_| !is_repeated),
        from,
    });
    let distance = instruction.stack_pointer_increment();
    let moved = (distance != 0).then(|| {
        let from = Source::Address(Memory::at(STACK, distance.into()));
        Operation::Set {
            to: STACK,
            from,
            width: 8,
        }
    });
    let spoiled = match moved {
        Some(_) => written(info) & !(1 << STACK),
        None => written(info),
    };
    let computed = match spoiled {
        0 => Operation::Spoil(0),
        to => Operation::Compute { to, from },
    };
    overwritten.chain([computed]).chain(moved).collect()
}

/// What an instruction computes with: what it reads, but for registers that only address memory.
fn inputs(instruction: &Instruction, info: &InstructionInfo) -> Inputs {
    let addressing = info.used_memory().iter().map(place);
    let addressing = addressing.fold(0, |all, memory| all | parts(memory));
    let is_operand = |name| {
        let kinds = (0..instruction.op_count()).filter(|index| instruction.op_kind(*index) == OpKind::Register);
        kinds
            .into_iter()
            .any(|index| number(instruction.op_register(index)) == number(name))
    };
    let is_changed = |access| {
        matches!(
            access,
            OpAccess::ReadWrite | OpAccess::ReadCondWrite | OpAccess::CondWrite
        )
    };
    let read = info.used_registers().iter().filter(|used| {
        let is_address = number(used.register()).is_some_and(|number| addressing >> number & 1 == 1);
        let is_data = !is_address || is_operand(used.register());
        reads(used.access()) && is_data || is_changed(used.access())
    });
    let read_memory = info.used_memory().iter().find(|memory| reads(memory.access()));
    Inputs {
        registers: bits(read.filter_map(|used| number(used.register()))),
        memory: read_memory.map(|memory| (place(memory), size(memory).unwrap_or(u8::MAX))),
    }
}

fn place(memory: &UsedMemory) -> Memory {
    let is_plain = matches!(memory.segment(), Name::None | Name::DS | Name::SS | Name::ES | Name::CS);
    let scaled = memory.scale() != 1;
    address((memory.base(), memory.index(), scaled), memory.displacement(), is_plain)
}

fn size(memory: &UsedMemory) -> Option<u8> {
    u8::try_from(memory.memory_size().size()).ok()
}

/// The registers that an address comes from, as bits.
fn parts(memory: Memory) -> u32 {
    bits(memory.base.into_iter()) | memory.several
}

fn bits(registers: impl Iterator<Item = Register>) -> u32 {
    registers.fold(0, |all, register| all | 1_u32 << register)
}

/// The registers that an instruction writes, as bits.
fn written(info: &InstructionInfo) -> u32 {
    let written = info.used_registers().iter().filter(|used| writes(used.access()));
    bits(written.filter_map(|used| number(used.register())))
}

const fn reads(access: OpAccess) -> bool {
    match access {
        OpAccess::None | OpAccess::Write | OpAccess::CondWrite | OpAccess::NoMemAccess => false,
        OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite => true,
    }
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

fn memory(instruction: &Instruction) -> Memory {
    let is_plain = instruction.segment_prefix() == Name::None;
    let scaled = instruction.memory_index_scale() != 1;
    let registers = (instruction.memory_base(), instruction.memory_index(), scaled);
    address(registers, instruction.memory_displacement64(), is_plain)
}

/// An address that comes from one register, or from none if there is an index, a segment or no register at all.
fn address((base, index, scaled): (Name, Name, bool), displacement: u64, is_plain: bool) -> Memory {
    let whole = |name: Name| number(name).filter(|_| name.is_gpr64());
    let is_alone = is_plain && index == Name::None;
    let both = [base, index].into_iter().filter_map(whole);
    Memory {
        base: whole(base).filter(|_| is_alone),
        offset: displacement.cast_signed(),
        several: if is_plain && !is_alone { bits(both) } else { 0 },
        scaled: scaled || base == index,
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

/// The number of a general register, or of a vector register behind those.
pub(super) fn number(name: Name) -> Option<Register> {
    let whole = name.full_register();
    let number = if whole.is_gpr64() {
        whole.number()
    } else if whole.is_vector_register() {
        whole.number().checked_add(GENERAL)?
    } else {
        return None;
    };
    Register::try_from(number).ok().filter(|number| *number < REGISTERS)
}

fn is_same_register(instruction: &Instruction) -> bool {
    let is_register = |kind| kind == OpKind::Register;
    is_register(instruction.op0_kind())
        && is_register(instruction.op1_kind())
        && instruction.op0_register() == instruction.op1_register()
}
