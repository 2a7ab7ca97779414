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
    /// Another register has been compared, of which the index may be a copy.
    Compared {
        table: u64,
        index: Register,
        compared: Register,
        last: u64,
    },
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
mod tests {
    use super::*;
    use crate::code::around::{Around, bytes, code};
    use crate::code::graph::End;

    /// Returns where the last jump of some code leads, with entries of a table that all lie at this address.
    fn targets_of(listing: &str, table: u64, entries: &[i32]) -> Option<Vec<u64>> {
        let bytes = bytes(listing);
        let around = Around {
            table: (table, entries.to_vec()),
            ..Around::default()
        };
        let (graph, forward) = executed(&bytes, &around);
        let is_open = |node: &Node| node.jumps.is_empty() && node.next.is_none() && node.end != Some(End::Return);
        let jump = graph.nodes.iter().position(is_open)?;
        let targets = targets(&graph, &graph.predecessors(), &forward, jump, &around)?;
        Some(targets.iter().map(|target| target.0).collect())
    }

    fn executed<'data>(bytes: &'data [u8], around: &Around) -> (Graph<'data>, Forward) {
        let graph = Graph::of(code(bytes, 0x1000), Vaddr(0x1000), around).unwrap();
        let forward = Forward::of(&graph).unwrap();
        (graph, forward)
    }

    #[test]
    fn the_entries_of_a_table_are_read_up_to_the_bound() {
        // cmp r14d,12; ja; mov rbp,rdx; mov eax,r14d; lea rdx; mov rbx,rdi; movslq; mov r12,rsi; mov r13,rcx; add; jmp
        let early_data = "41 83 fe 02 77 1f 48 89 d5 44 89 f0 48 8d 15 ed 0f 00 00 48 89 fb 48 63 04 82
            49 89 f4 49 89 cd 48 01 d0 ff e0 c3 c3";
        assert_eq!(
            targets_of(early_data, 0x2000, &[-0xfdb, -0xfda, -0xfdb, 0]),
            Some(vec![0x1025, 0x1026, 0x1025])
        );
        assert_eq!(
            targets_of(early_data, 0x2000, &[-0xfdb, -0xfda]),
            None,
            "there are three"
        );
    }

    #[test]
    fn other_orders_of_the_same_form_are_recognised() {
        // The address of the table comes first, and the jump has a prefix.
        let hoisted = "48 8d 15 f9 0f 00 00 90 83 fe 00 77 0c 89 f0 48 63 04 82 48 01 d0 3e ff e0 c3 c3";
        assert_eq!(targets_of(hoisted, 0x2000, &[-0xfe7]), Some(vec![0x1019]));
        // A byte is compared, and what it bounds is jumped to.
        let byte = "40 80 ff 00 76 01 c3 40 0f b6 c7 48 8d 15 ee 0f 00 00 48 63 04 82 48 01 c2 ff e2";
        assert_eq!(targets_of(byte, 0x2000, &[-0xffa]), Some(vec![0x1006]));
        // A copy of the index was made before it is compared, as clang does: mov ecx,eax; cmp eax,0; ja; lea; movslq.
        let copied = "89 c1 83 f8 00 77 10 48 8d 15 f2 0f 00 00 48 63 04 8a 48 01 d0 ff e0 c3 c3";
        assert_eq!(targets_of(copied, 0x2000, &[-0xfe8]), Some(vec![0x1018]));
        // The sum is one of addresses.
        let added = "83 fa 00 77 13 89 d2 48 8d 05 f2 0f 00 00 48 63 14 90 48 8d 04 02 ff e0 c3";
        assert_eq!(targets_of(added, 0x2000, &[-0xfe8]), Some(vec![0x1018]));
        // `gnutls_record_send2` compares a field, and then loads it.
        let field =
            "83 bb 48 05 00 00 00 77 17 8b 83 48 05 00 00 48 8d 15 ea 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3 c3";
        assert_eq!(targets_of(field, 0x2000, &[-0xfe0]), Some(vec![0x1020]));
    }

    #[test]
    fn an_index_that_nothing_bounds_is_refused() {
        let entries = [0; 8];
        let refused = [
            (
                "another condition",
                "83 fe 03 74 12 89 f0 48 8d 15 f2 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            (
                "another register",
                "83 ff 03 77 12 89 f0 48 8d 15 f2 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            (
                "changed since",
                "83 fe 03 77 14 ff c6 89 f0 48 8d 15 f0 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            (
                "a call between",
                "83 fb 03 77 17 e8 f6 0f 00 00 89 d8 48 8d 15 ed 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            (
                "a store between",
                "83 7f 08 03 77 15 89 16 8b 47 08 48 8d 15 ee 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            (
                "another way here",
                "85 d2 74 05 83 fe 03 77 12 89 f0 48 8d 15 ee 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            (
                "a part compared",
                "40 80 ff 03 77 12 89 f8 48 8d 15 f1 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
            ),
            ("no table", "83 fe 03 77 0b 89 f0 48 63 04 82 48 01 d0 ff e0 c3"),
            ("nothing", "ff e0"),
        ];
        for (why, listing) in refused {
            assert_eq!(targets_of(listing, 0x2000, &entries), None, "{why}");
        }
        let bounded = "83 fe 03 77 12 89 f0 48 8d 15 f2 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3";
        assert!(targets_of(bounded, 0x2000, &entries).is_some());
    }

    #[test]
    fn the_entries_may_fill_their_limit_and_no_more() {
        let last = |last: u64| {
            let number = u32::try_from(last)
                .unwrap()
                .to_le_bytes()
                .map(|byte| format!("{byte:02x}"));
            let listing = format!(
                "81 fe {} 77 12 89 f0 48 8d 15 ef 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
                number.join(" ")
            );
            targets_of(&listing, 0x2000, &vec![0; 1024]).map(|targets| targets.len())
        };
        assert_eq!(last(limits::TABLE_ENTRIES - 1), Some(512));
        assert_eq!(last(limits::TABLE_ENTRIES), None);
    }

    #[test]
    fn the_bound_may_be_as_far_as_the_limit_and_no_further() {
        let far = |moves: usize| {
            let between = "89 fb ".repeat(moves);
            let length = 0x13 + 2 * moves;
            let listing = format!(
                "83 fe 03 0f 87 {:02x} 00 00 00 {between} 89 f0 48 8d 15 {:02x} 0f 00 00 48 63 04 82 48 01 d0 ff e0 c3",
                length - 1,
                0xee - 2 * moves
            );
            targets_of(&listing, 0x2000, &[0; 8])
        };
        // Six instructions are the form's own, and the jump is not counted.
        assert!(far(limits::TABLE_DISTANCE - 6).is_some());
        assert!(far(limits::TABLE_DISTANCE - 5).is_none());
    }
}
