//! Where the calls of a function end: the cheapest proven set of sites that stand for its returns.
//!
//! A site is an instruction that the kernel emulates, or one way out of a conditional jump, behind which the work is done
//! and the result does not change any more; or a return itself, which the kernel steps. Every way through the function
//! passes one of a set, once. `gates` lists what could be in a set, `cut` chooses, and `flow` is what it chooses by. Where a
//! function ends by calling a pointer, `pointer` says where that is from.

mod cut;
mod flow;
mod gates;
mod known;
mod pointer;

use std::cell::Cell;

use super::convention::Convention;
use super::field::Field;
pub(crate) use super::finality::Found;
use super::forward::Forward;
use super::graph::{End, Graph, Node, Surroundings};
use super::instruction::{Instruction, emulated};
use super::operation::{Destination, Operation};
use super::site::Tier;
use super::table;
use super::value::Value;
use crate::cause::Cause;
use crate::code::bytes::Code;
use crate::elf::address::Vaddr;
use crate::elf::machine::Machine;
use crate::limits;
use crate::operand::{Outcome, Success};

pub(in crate::code) use gates::condition;
pub(crate) use pointer::Pointer;

use cut::Cut;
use gates::Gate;
use pointer::pointer;

/// Says which calls pass a site of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Every call that ends.
    All,
    /// Every call that is successful, and perhaps others. Of a call that fails without passing one, what was noted
    /// stays; the next call that is entered with the same stack pointer takes its place, and no other passes the sites.
    Successful,
}

/// Says what is asked of a function's ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) entry: Vaddr,
    /// How many bytes the function covers, or zero.
    pub(crate) size: u64,
    /// Where its calls are noted; they cannot end there.
    pub(crate) noted_at: Vaddr,
    /// What it returns.
    pub(crate) outcome: Outcome,
    /// Whether calls that fail have to be seen to end.
    pub(crate) ways: Ways,
    /// Whether the first word of the first argument is zero: of several kinds of object, the first.
    pub(crate) is_typed: bool,
    /// Whether a call may be seen to end as soon as it is known to fail, before the function has reported that.
    pub(crate) fails_early: bool,
}

/// A place where calls end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) at: Vaddr,
    pub(crate) tier: Tier,
    pub(crate) instruction: Instruction,
    /// How many bytes the stack pointer is below where it was at the function's entry.
    pub(crate) depth: u16,
    /// Where the result is.
    pub(crate) result: Found,
    /// The condition, as the machine encodes it, that has to hold for the hit to be an end.
    pub(crate) when: Option<u8>,
    /// Whether only calls come here that fail by the function's own decision: what they return is a constant.
    pub(crate) is_rare: bool,
}

/// Holds the places where calls of a function end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) spots: Vec<Spot>,
    pub(crate) ways: Ways,
}

/// A function whose exits are searched.
#[derive(Debug)]
pub(crate) struct Body<'data> {
    graph: Graph<'data>,
    before: Vec<Vec<usize>>,
    forward: Forward,
}

impl<'data> Body<'data> {
    /// Decodes a function whole. `code` is that of its segment; `pointers` says where an address may lead that is loaded
    /// from an argument; `budget` is how many more instructions are executed.
    pub(crate) fn of(
        code: Code<'data>,
        entry: Vaddr,
        around: &impl Surroundings,
        pointers: &dyn Fn(Pointer) -> Vec<Vaddr>,
        budget: &Cell<usize>,
    ) -> Result<Self, Cause> {
        let mut graph = Graph::of(code, entry, around)?;
        loop {
            let body = Self {
                before: graph.predecessors(),
                forward: Forward::of(&graph, Convention::of(code.machine), budget)?,
                graph,
            };
            let followed = |index| {
                let by_table = || {
                    Some((
                        table::targets(&body.graph, &body.before, &body.forward, index, around)?,
                        false,
                    ))
                };
                let by_pointer = || Some((pointers(pointer(&body, index)?), true));
                by_table().or_else(by_pointer)
            };
            let open = open_jumps(&body.graph).into_iter();
            let found = open.filter_map(|index| Some((index, followed(index)?)));
            let found: Vec<_> = found.filter(|(_, (targets, _))| !targets.is_empty()).collect();
            if found.is_empty() {
                return Ok(body);
            }
            graph = body.graph;
            for (index, (targets, is_by_pointer)) in found {
                graph.add_jumps(index, &targets, is_by_pointer, around)?;
            }
        }
    }

    /// Returns how far the stack pointer is at an instruction below where the function was entered.
    pub(crate) fn depth_at(&self, at: Vaddr) -> Option<u16> {
        self.forward.depth(&self.graph, self.graph.node_at(at)?)
    }

    /// Lists what the function has loaded from an argument and stores to its first argument, or to a structure that is not
    /// known: so many bytes behind that, and the field.
    pub(crate) fn stored(&self) -> Vec<(u16, Field)> {
        let stored = |(index, node): (usize, &Node)| {
            let state = self.forward.state(index)?;
            let Some(Operation::Store { to, from, width: 8 }) = node.lifted.operations.first() else {
                return None;
            };
            let distance = if state.register(to.base?) == Value::Unknown {
                to.offset
            } else {
                state.address(*to).distance_from(0)?
            };
            Some((u16::try_from(distance).ok()?, state.value(*from, 8).field()?))
        };
        self.graph.nodes.iter().enumerate().filter_map(stored).collect()
    }

    /// Lists the calls and tail calls of addresses that are loaded from an argument, with the arguments that they get.
    pub(crate) fn calls_by_pointer<const COUNT: usize>(&self) -> Vec<(Field, [Value; COUNT])> {
        let call = |(index, node): (usize, &Node)| {
            let (Operation::CallThrough(source) | Operation::JumpThrough(source)) = node.lifted.operations.last()?
            else {
                return None;
            };
            let state = self.forward.state(index)?;
            Some((state.value(*source, 8).field()?, state.arguments()))
        };
        self.graph.nodes.iter().enumerate().filter_map(call).collect()
    }

    /// Finds the cheapest set of sites that is proven.
    pub(crate) fn ends(&self, question: &Question) -> Result<Ends, Cause> {
        let cut = Cut::new(self, question)?;
        let all = cut.cheapest(Ways::All);
        if question.ways == Ways::All {
            return all.map(|set| self.spots(&set, Ways::All));
        }
        match (all, cut.cheapest(Ways::Successful)) {
            (Ok(all), Ok(successful)) if successful.is_empty() || cost(&all) <= cost(&successful) => {
                Ok(self.spots(&all, Ways::All))
            }
            (_, Ok(successful)) if !successful.is_empty() => Ok(self.spots(&successful, Ways::Successful)),
            (all, _) => all.map(|set| self.spots(&set, Ways::All)),
        }
    }

    fn spots(&self, set: &[Gate], ways: Ways) -> Ends {
        let spot = |gate: &Gate| {
            let node = self.graph.nodes.get(gate.node)?;
            let bytes = self.graph.code.from(node.at)?;
            Some(Spot {
                at: node.at,
                tier: gate.tier,
                instruction: emulated(self.graph.code.machine, bytes).unwrap_or(Instruction::Return),
                depth: self.forward.depth(&self.graph, gate.node)?,
                result: gate.result,
                when: gate.to.and_then(|to| condition(self.graph.code, node, to)),
                is_rare: gate.is_rare,
            })
        };
        let mut spots: Vec<Spot> = set.iter().filter_map(spot).collect();
        spots.sort_by_key(|spot| (spot.at, spot.when));
        Ends { spots, ways }
    }
}

/// Returns how many ends the calls of a function have that is any bytes; for the fuzzer alone.
pub(crate) fn any_code(bytes: &[u8]) -> Result<usize, Cause> {
    let entry = Vaddr(0x1000);
    let code = Code {
        machine: Machine::X86_64,
        bytes,
        address: entry,
    };
    let inside = |distance: u16| entry.checked_add(distance.into()).into_iter().collect();
    let pointers = |pointer| match pointer {
        Pointer::Field(field) => field.two().map_or_else(Vec::new, |([_, distance], _)| inside(distance)),
        Pointer::Behind(distance) => inside(distance),
    };
    let budget = Cell::new(limits::EXIT_STEPS);
    let body = Body::of(code, entry, &Nothing, &pointers, &budget)?;
    let mut count: usize = 0;
    for ways in [Ways::All, Ways::Successful] {
        let outcome = Outcome {
            width: 4,
            success: Success::Positive,
        };
        let ends = body.ends(&Question {
            entry,
            size: 0,
            noted_at: entry,
            outcome,
            ways,
            is_typed: ways == Ways::Successful,
            fails_early: ways == Ways::Successful,
        })?;
        let is_inside = |spot: &Spot| code.contains(spot.at) && spot.at != entry;
        assert!(ends.spots.iter().all(is_inside), "{ends:?}");
        count = count.saturating_add(ends.spots.len());
    }
    Ok(count)
}

/// Surroundings without an image; for the fuzzer alone.
pub(crate) struct Nothing;

impl Surroundings for Nothing {
    fn linked(&self, slot: Vaddr) -> Option<Vaddr> {
        Some(slot)
    }

    fn never_returns(&self, _: Destination) -> bool {
        false
    }

    fn begins(&self, _: Vaddr) -> bool {
        false
    }

    fn offset_at(&self, place: Vaddr) -> Option<i32> {
        i32::try_from(place.0 & 0x3f).ok()
    }

    fn address_at(&self, place: Vaddr) -> Option<Vaddr> {
        Some(place)
    }
}

/// Lists the jumps that lead to where the code does not say by itself.
fn open_jumps(graph: &Graph<'_>) -> Vec<usize> {
    let is_open = |node: &Node| node.end == Some(End::Jump(Destination::Unknown));
    let nodes = graph.nodes.iter().enumerate();
    nodes
        .filter(|(_, node)| is_open(node))
        .map(|(index, _)| index)
        .collect()
}

/// What the sites of a set cost those calls that do not fail by the function's own decision.
fn cost(set: &[Gate]) -> u64 {
    let common = set.iter().filter(|gate| !gate.is_rare);
    common.fold(0, |sum, gate| sum.saturating_add(gate.cost()))
}

#[cfg(test)]
mod tests;
