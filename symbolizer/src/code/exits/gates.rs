//! What could be in a set of sites.

use super::known::Known;
use super::{Body, Question};
use crate::code::finality::Found;
use crate::code::graph::{End, Node};
use crate::code::operation::Operation;
use crate::code::place::emulated;
use crate::code::site::Tier;

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
        // A plain site is easier to place.
        let conditions = [self.to.is_some(), matches!(self.result, Found::Number(_))];
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
    let gate = |at: usize, to| {
        let is_done = known.done.get(at) == Some(&true);
        let result = known
            .results
            .get(at)
            .filter(|result| is_done || result.fails && question.fails_early);
        Some(Gate {
            node: index,
            to,
            tier: if node.end == Some(End::Return) {
                Tier::Stepped
            } else {
                Tier::Emulated
            },
            result: result?.found(question.outcome.width)?,
            is_rare: !known.is_common(index),
        })
    };
    let is_emulated = body
        .graph
        .code
        .from(node.at)
        .is_some_and(|bytes| emulated(bytes).is_some());
    if node.end != Some(End::Return) && !(is_emulated && node.end.is_none()) {
        return Vec::new();
    }
    // A call passes no gate of a loop just once.
    let is_once = |to: usize| known.loops.get(to) != known.loops.get(index);
    let whole = gate(index, None).filter(|_| node.successors().all(is_once));
    let is_branch = matches!(node.lifted.operations.last(), Some(Operation::Branch { .. }));
    let forks = is_branch && node.jumps.first() != node.next.as_ref();
    let ways = node.successors().filter(|_| forks && whole.is_none());
    let ways = ways.filter(|to| is_once(*to)).filter_map(|to| gate(to, Some(to)));
    whole.into_iter().chain(ways).collect()
}

/// The condition on which a conditional jump leads to a node, in the encoding of the machine.
pub(in crate::code) fn condition(node: &Node, to: usize, bytes: &[u8]) -> Option<u8> {
    let code = match bytes {
        [short @ 0x70..=0x7f, ..] => short & 0xf,
        [0x0f, near @ 0x80..=0x8f, ..] => near & 0xf,
        _ => return None,
    };
    // The lowest bit negates it.
    Some(if node.jumps.contains(&to) { code } else { code ^ 1 })
}
