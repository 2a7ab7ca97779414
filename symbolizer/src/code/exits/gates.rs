//! What could be in a set of sites.

use super::known::Known;
use super::{Body, Question};
use crate::code::aarch64;
use crate::code::bytes::Code;
use crate::code::convention::Convention;
use crate::code::finality::Found;
use crate::code::graph::{End, Node};
use crate::code::instruction::{emulated, is_plain_return};
use crate::code::operation::{Destination, Operation};
use crate::code::site::Tier;
use crate::elf::machine::Machine;

/// An instruction that could be a site, or one of its outgoing edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    pub(super) node: usize,
    /// Where the way leads, if only one of them counts.
    pub(super) to: Option<usize>,
    pub(super) tier: Tier,
    /// Where the result is there.
    pub(super) result: Found,
    /// Whether only calls pass the instruction that fail by the function's own decision.
    pub(super) is_rare: bool,
    pub(super) is_return: bool,
}

impl Gate {
    /// Returns what it costs those calls that pass the instruction, whichever way they take. One hit that is stepped
    /// costs twenty that are emulated; of what is rare, only much would cost anything.
    pub(super) fn cost(&self) -> u64 {
        let hit = match (self.tier, self.is_rare) {
            (Tier::Emulated, false) => 20,
            (Tier::Stepped, false) => 400,
            (Tier::Emulated, true) => 2,
            (Tier::Stepped, true) => 50,
        };
        // A plain site is easier to place, and kernels may emulate a return without a guarded control stack.
        let is_emulated_return = self.is_return && self.tier == Tier::Emulated;
        let conditions = [
            self.to.is_some(),
            matches!(self.result, Found::Number(_)),
            is_emulated_return,
        ];
        conditions
            .into_iter()
            .fold(hit, |cost: u64, has| cost.saturating_add(has.into()))
    }
}

/// Lists all that could be in a set.
pub(super) fn gates(body: &Body<'_>, known: &Known, question: &Question) -> Vec<Gate> {
    let nodes = body.graph.nodes.iter().enumerate();
    let nodes = nodes.filter(|(_, node)| node.at != question.noted_at);
    nodes
        .flat_map(|(index, node)| gates_of(body, known, index, node, question))
        .collect()
}

/// Lists what a node could be in a set: a site, or one way out of a conditional jump.
fn gates_of(body: &Body<'_>, known: &Known, index: usize, node: &Node, question: &Question) -> Vec<Gate> {
    let convention = Convention::of(body.graph.code.machine);
    let is_return = node.end == Some(End::Return);
    let Some(tier) = tier(body.graph.code, node) else {
        return Vec::new();
    };
    let gate = |at: usize, to| {
        let is_done = known.done.get(at) == Some(&true);
        let result = known
            .results
            .get(at)
            .filter(|result| is_done || result.fails && question.fails_early);
        Some(Gate {
            node: index,
            to,
            tier,
            result: result?.found(question.outcome.width, convention)?,
            is_rare: !known.is_common(index),
            is_return,
        })
    };
    // A call passes no gate of a loop just once.
    let is_once = |to: usize| known.loops.get(to) != known.loops.get(index);
    let whole = gate(index, None).filter(|_| node.successors().all(is_once));
    let forks = node.jumps.first() != node.next.as_ref();
    let is_told = |to: &usize| condition(body.graph.code, node, *to).is_some();
    let ways = node.successors().filter(|_| forks && whole.is_none()).filter(is_told);
    let ways = ways.filter(|to| is_once(*to)).filter_map(|to| gate(to, Some(to)));
    whole.into_iter().chain(ways).collect()
}

/// Returns what the kernel does with a probe on an instruction; `None` if that cannot be a site.
fn tier(code: Code<'_>, node: &Node) -> Option<Tier> {
    let bytes = code.from(node.at)?;
    // Others jump through a stub as well.
    let is_stub = matches!(
        node.lifted.operations.last(),
        Some(Operation::Jump(Destination::Slot(_)))
    );
    match node.end {
        _ if is_stub => None,
        Some(End::Return) => match code.machine {
            Machine::X86_64 => Some(Tier::Stepped),
            Machine::Aarch64 => is_plain_return(bytes).then_some(Tier::Emulated),
        },
        None => emulated(code.machine, bytes).map(|_| Tier::Emulated),
        Some(End::Jump(_) | End::Stop) => None,
    }
}

/// The condition of the flags on which a conditional jump leads to a node, in the encoding of the machine.
pub(in crate::code) fn condition(code: Code<'_>, node: &Node, to: usize) -> Option<u8> {
    let bytes = code.from(node.at)?;
    let condition = match (code.machine, bytes) {
        (Machine::X86_64, [short @ 0x70..=0x7f, ..]) => short & 0xf,
        (Machine::X86_64, [0x0f, near @ 0x80..=0x8f, ..]) => near & 0xf,
        (Machine::X86_64, _) => return None,
        (Machine::Aarch64, bytes) => aarch64::condition(bytes)?,
    };
    // The lowest bit negates it.
    Some(if node.jumps.contains(&to) {
        condition
    } else {
        condition ^ 1
    })
}
