//! Jumps by a table, in the one form that compilers give to position-independent code.
//!
//! `cmp index,last; ja …` bounds the index, and `lea base,[rip+table]; movsxd entry,[base+index*4]; add entry,base; jmp
//! entry` jumps. Only copies and what leaves these registers alone may stand between.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums name every instruction there is"
)]

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::forward::Forward;
use super::graph::{Graph, Node, Surroundings};
use super::value::Value;
use super::x86_64;
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
            return entries(Vaddr(table), last, around);
        }
        here = previous;
    }
    None
}

fn entries(table: Vaddr, last: u64, around: &impl Surroundings) -> Option<Vec<Vaddr>> {
    let entry = |index: u64| {
        let place = table.checked_add(index.checked_mul(4)?)?;
        let distance = around.offset_at(place)?;
        Some(Vaddr(table.0.checked_add_signed(distance.into())?))
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

/// Is what has been found on the way back from a jump.
#[derive(Clone, Copy)]
enum Search {
    /// The register that is jumped to.
    Jump(Register),
    /// The two that it is the sum of: an entry of the table, and its address.
    Sum([Register; 2]),
    /// The entry has been loaded from the table by this index.
    Entry { table: u64, index: Index },
    /// The jump has been seen that an index out of bounds takes.
    Branch { table: u64, index: Index },
    /// The comparison has been seen.
    Bounded { table: u64, last: u64 },
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
        let is_by_register = jump.mnemonic() == Mnemonic::Jmp && jump.op0_kind() == OpKind::Register;
        is_by_register.then(|| Self::Jump(jump.op0_register()))
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
                let is_compared = instruction.mnemonic() == Mnemonic::Cmp && index.is_left_of(instruction);
                let last = is_compared.then(|| instruction.try_immediate(1).ok()).flatten()?;
                Some(Self::Bounded { table, last })
            }
            Self::Bounded { .. } => Some(self),
        }
    }
}

fn back_to_sum(target: Register, instruction: &Instruction) -> Option<Search> {
    if is_between(instruction, Mnemonic::Add) && instruction.op0_register() == target {
        return Some(Search::Sum([target, instruction.op1_register()]));
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
            table: constant(base)?,
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
                // A copy that is zero above what it copies.
                let is_copy = is_moved && instruction.op0_register().is_gpr32();
                match instruction.op1_kind() {
                    OpKind::Register if is_copy => Some(Self::Register(instruction.op1_register())),
                    OpKind::Memory if is_copy && instruction.mnemonic() == Mnemonic::Mov => {
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
                comparison.op0_kind() == OpKind::Register
                    && comparison.op0_register().full_register() == register.full_register()
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
