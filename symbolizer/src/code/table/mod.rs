//! Jumps by a table, in the one form that compilers give to position-independent code, and the one of other code.
//!
//! `cmp index,last; ja …` bounds the index, and `lea base,[rip+table]; movsxd entry,[base+index*4]; add entry,base; jmp
//! entry` jumps, or `jmp [table+index*8]`. Only copies and what leaves these registers alone may stand between.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums name every instruction there is"
)]

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use crate::code::forward::Forward;
use crate::code::graph::{Graph, Node, Surroundings};
use crate::code::value::Value;
use crate::code::x86_64;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;

/// Finds where the indirect jump of a node may lead, by the instructions before it.
pub(super) fn targets(
    graph: &Graph<'_>,
    before: &[Vec<usize>],
    forward: &Forward,
    jump: usize,
    around: &impl Surroundings,
) -> Option<Vec<Vaddr>> {
    if graph.code.machine != Machine::X86_64 {
        return None;
    }
    let mut search = Search::at(decode(graph, graph.nodes.get(jump)?)?)?;
    let mut here = jump;
    for _ in 0..limits::TABLE_DISTANCE {
        // Another way here could bring another index.
        let [previous] = before.get(here)?[..] else {
            return None;
        };
        let node = graph.nodes.get(previous)?;
        let constant = |register| match forward.state(previous)?.register(x86_64::number(register)?) {
            Value::Constant(number) => Some(number),
            _ => None,
        };
        search = search.back(&decode(graph, node)?, node.next == Some(here), constant)?;
        if let Search::Bounded { table, last } = search {
            return entries(table, last, around);
        }
        here = previous;
    }
    None
}

fn entries(table: Table, last: u64, around: &impl Surroundings) -> Option<Vec<Vaddr>> {
    let entry = |index: u64| match table {
        Table::Distances(table) => {
            let place = Vaddr(table.checked_add(index.checked_mul(4)?)?);
            let distance = around.offset_at(place)?;
            table.checked_add_signed(distance.into()).map(Vaddr)
        }
        Table::Addresses(table) => around.address_at(Vaddr(table.checked_add(index.checked_mul(8)?)?)),
    };
    (last < limits::TABLE_ENTRIES)
        .then(|| (0..=last).map(entry).collect())
        .flatten()
}

fn decode(graph: &Graph<'_>, node: &Node) -> Option<Instruction> {
    let bytes = graph.code.from(node.at)?;
    let mut decoder = Decoder::with_ip(64, bytes, node.at.0, DecoderOptions::NONE);
    decoder.can_decode().then(|| decoder.decode())
}

/// Where a table is, and what it holds.
#[derive(Clone, Copy)]
enum Table {
    /// Distances from the table, of 32 bits.
    Distances(u64),
    /// Addresses.
    Addresses(u64),
}

/// The state of the search backwards from a jump.
#[derive(Clone, Copy)]
enum Search {
    /// The register that is jumped to.
    Jump(Register),
    /// The two that it is the sum of: an entry of the table, and its address.
    Sum([Register; 2]),
    /// The entry has been loaded from the table by this index.
    Entry { table: Table, index: Index },
    /// The jump has been seen that an index out of bounds takes.
    Branch { table: Table, index: Index },
    /// Another register has been compared, of which the index may be a copy.
    Compared {
        table: Table,
        index: Register,
        compared: Register,
        last: u64,
    },
    /// The comparison has been seen.
    Bounded { table: Table, last: u64 },
}

/// Where the index is.
#[derive(Clone, Copy)]
enum Index {
    Register(Register),
    /// In memory, with the instruction that loads it.
    Memory(Instruction),
}

impl Search {
    fn at(jump: Instruction) -> Option<Self> {
        if jump.mnemonic() != Mnemonic::Jmp {
            return None;
        }
        if jump.op0_kind() == OpKind::Register {
            return Some(Self::Jump(jump.op0_register()));
        }
        let (base, index, scale) = (jump.memory_base(), jump.memory_index(), jump.memory_index_scale());
        let is_plain = base == Register::None && index != Register::None && jump.segment_prefix() == Register::None;
        (is_plain && scale == 8).then(|| Self::Entry {
            table: Table::Addresses(jump.memory_displacement64()),
            index: Index::Register(index),
        })
    }

    /// Takes the instruction before; `is_passed` if it goes on to the next one without a jump.
    fn back(
        self,
        instruction: &Instruction,
        is_passed: bool,
        constant: impl Fn(Register) -> Option<u64>,
    ) -> Option<Self> {
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {}
            _ => return None,
        }
        match self {
            Self::Jump(target) => back_to_sum(target, instruction),
            Self::Sum(parts) => back_to_entry(parts, instruction, constant),
            Self::Entry { table, index } => {
                let is_bound = match instruction.mnemonic() {
                    Mnemonic::Ja => is_passed,
                    Mnemonic::Jbe => !is_passed,
                    _ => false,
                };
                if is_bound {
                    return Some(Self::Branch { table, index });
                }
                let index = index.before(instruction)?;
                Some(Self::Entry { table, index })
            }
            Self::Branch { table, index } => {
                if instruction.rflags_modified() == 0 {
                    let index = index.before(instruction)?;
                    return Some(Self::Branch { table, index });
                }
                let is_comparison = instruction.mnemonic() == Mnemonic::Cmp;
                let last = is_comparison.then(|| instruction.try_immediate(1).ok()).flatten()?;
                if index.is_left_of(instruction) {
                    return Some(Self::Bounded { table, last });
                }
                let compared = instruction.op0_register();
                match index {
                    Index::Register(index) if compared.is_gpr32() => Some(Self::Compared {
                        table,
                        index,
                        compared,
                        last,
                    }),
                    Index::Register(_) | Index::Memory(_) => None,
                }
            }
            Self::Compared {
                table,
                index,
                compared,
                last,
            } => {
                if is_copy(instruction) && instruction.op0_register().full_register() == index.full_register() {
                    return (instruction.op1_register() == compared).then_some(Self::Bounded { table, last });
                }
                let is_kept = !writes(instruction, index) && !writes(instruction, compared);
                is_kept.then_some(self)
            }
            Self::Bounded { .. } => Some(self),
        }
    }
}

fn back_to_sum(target: Register, instruction: &Instruction) -> Option<Search> {
    if is_between(instruction, Mnemonic::Add) && instruction.op0_register() == target {
        return Some(Search::Sum([target, instruction.op1_register()]));
    }
    let is_sum = instruction.mnemonic() == Mnemonic::Lea
        && instruction.memory_index_scale() == 1
        && instruction.memory_displacement64() == 0;
    if is_sum && instruction.op0_register() == target && instruction.memory_index() != Register::None {
        return Some(Search::Sum([instruction.memory_base(), instruction.memory_index()]));
    }
    (!writes(instruction, target)).then_some(Search::Jump(target))
}

fn back_to_entry(
    parts: [Register; 2],
    instruction: &Instruction,
    constant: impl Fn(Register) -> Option<u64>,
) -> Option<Search> {
    let (entry, base) = (instruction.op0_register(), instruction.memory_base());
    let [one, other] = parts;
    let is_load = instruction.mnemonic() == Mnemonic::Movsxd && instruction.op1_kind() == OpKind::Memory;
    if is_load && ([entry, base] == [one, other] || [entry, base] == [other, one]) {
        let index = instruction.memory_index();
        let is_entry = instruction.memory_index_scale() == 4 && instruction.memory_displacement64() == 0;
        return (is_entry && index != Register::None).then_some(Search::Entry {
            table: Table::Distances(constant(base)?),
            index: Index::Register(index),
        });
    }
    let is_kept = !writes(instruction, one) && !writes(instruction, other);
    is_kept.then_some(Search::Sum(parts))
}

impl Index {
    /// Where it is before an instruction; `None` if that makes it.
    fn before(self, instruction: &Instruction) -> Option<Self> {
        match self {
            Self::Register(register) if writes(instruction, register) => {
                let is_whole = instruction.op0_register().full_register() == register.full_register();
                let is_moved = matches!(instruction.mnemonic(), Mnemonic::Mov | Mnemonic::Movzx) && is_whole;
                let is_extended = is_moved && instruction.op0_register().is_gpr32();
                match instruction.op1_kind() {
                    OpKind::Register if is_extended => Some(Self::Register(instruction.op1_register())),
                    OpKind::Memory if is_extended && instruction.mnemonic() == Mnemonic::Mov => {
                        Some(Self::Memory(*instruction))
                    }
                    _ => None,
                }
            }
            Self::Register(_) => Some(self),
            Self::Memory(load) => {
                let is_kept = !writes_memory(instruction) && !writes(instruction, load.memory_base());
                (is_kept && load.memory_index() == Register::None).then_some(self)
            }
        }
    }

    /// Returns whether a comparison has it on its left side.
    fn is_left_of(self, comparison: &Instruction) -> bool {
        match self {
            Self::Register(register) => {
                let compared = comparison.op0_register();
                // What is above 32 bits is zero in an index that was compared by 32.
                let is_whole = compared.size() >= register.size().min(4);
                comparison.op0_kind() == OpKind::Register
                    && is_whole
                    && compared.full_register() == register.full_register()
            }
            Self::Memory(load) => {
                let place = |instruction: &Instruction| {
                    let base = (instruction.memory_base(), instruction.memory_index());
                    (base, instruction.memory_displacement64(), instruction.segment_prefix())
                };
                comparison.op0_kind() == OpKind::Memory
                    && comparison.memory_size().size() == 4
                    && place(comparison) == place(&load)
            }
        }
    }
}

/// Recognises a copy of a register that is zero above its 32 bits.
fn is_copy(instruction: &Instruction) -> bool {
    is_between(instruction, Mnemonic::Mov) && instruction.op0_register().is_gpr32()
}

fn is_between(instruction: &Instruction, mnemonic: Mnemonic) -> bool {
    let kinds = (instruction.op0_kind(), instruction.op1_kind());
    instruction.mnemonic() == mnemonic && kinds == (OpKind::Register, OpKind::Register)
}

fn writes(instruction: &Instruction, register: Register) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let mut used = factory.info(instruction).used_registers().iter();
    used.any(|used| is_write(used.access()) && used.register().full_register() == register.full_register())
}

fn writes_memory(instruction: &Instruction) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let mut used = factory.info(instruction).used_memory().iter();
    used.any(|used| is_write(used.access()))
}

const fn is_write(access: OpAccess) -> bool {
    !matches!(
        access,
        OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess
    )
}

#[cfg(test)]
mod tests;
