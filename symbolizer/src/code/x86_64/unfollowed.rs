//! Instructions whose results do not matter, by the decoder's own account of what they read and write.

use iced_x86::{Instruction, InstructionInfo, InstructionInfoFactory, OpAccess, OpKind, Register as Name, UsedMemory};

use super::operands::{STACK, address, bits, number};
use crate::code::operation::{Inputs, Memory, Operation, Source};

/// Spoils what an instruction writes, but for a stack pointer that moves by a known distance.
pub(super) fn other(instruction: &Instruction) -> Vec<Operation> {
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
    let addressing = addressing.fold(0, |all, memory: Memory| all | memory.reads());
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

/// The registers that an instruction writes, as bits.
pub(super) fn written(info: &InstructionInfo) -> u32 {
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
