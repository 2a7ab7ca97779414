//! The choice of a set of sites that every way through a graph passes.

use std::collections::BTreeSet;

use super::flow::{NEVER, Network};
use super::gates::{Gate, gates};
use super::known::{Known, own};
use super::{Body, Question, Ways};
use crate::cause::Cause;
use crate::code::graph::{End, Graph, Node};
use crate::code::operation::Destination;
use crate::elf::address::Vaddr;
use crate::limits;

/// Looks for sets of gates that every way through a graph passes.
pub(super) struct Cut<'a> {
    graph: &'a Graph<'a>,
    known: Known,
    gates: Vec<Gate>,
    /// The nodes that are entered by nothing but the function's own entry.
    own: Vec<bool>,
}

impl<'a> Cut<'a> {
    pub(super) fn new(body: &'a Body<'a>, question: &Question) -> Result<Self, Cause> {
        let graph = &body.graph;
        let known = Known::of(body, question);
        if !known.results.first().is_some_and(|result| result.returns) {
            return Err(Cause::NoReturn(question.entry));
        }
        Ok(Self {
            graph,
            gates: gates(body, &known, question),
            own: own(graph, &body.forward, question),
            known,
        })
    }

    /// Finds the cheapest set, or else that of all returns.
    pub(super) fn cheapest(&self, ways: Ways) -> Result<Vec<Gate>, Cause> {
        let is_own = |gate: &&Gate| ways == Ways::All || self.own.get(gate.node) == Some(&true);
        let gates: Vec<Gate> = self.gates.iter().filter(is_own).copied().collect();
        let set = self.cut(&gates, ways)?;
        self.refusal(&set, ways).map_or(Ok(set), |cause| {
            let returns: Vec<Gate> = gates.into_iter().filter(|gate| gate.is_return).collect();
            let returns = self.cut(&returns, ways)?;
            self.refusal(&returns, ways).map_or(Ok(returns), |_| Err(cause))
        })
    }

    /// Returns why a set is of no use.
    fn refusal(&self, set: &[Gate], ways: Ways) -> Option<Cause> {
        if set.len() > limits::EXIT_SITES {
            return Some(Cause::TooManyEnds(self.graph.entry()));
        }
        self.passed_twice(set, ways).map(Cause::PassedTwice)
    }

    /// Finds the cheapest set among some gates.
    ///
    /// In the network each node is an edge, from the vertex of its number's double to the next; vertices are counted
    /// from the entry's, and the last is behind all ends.
    fn cut(&self, gates: &[Gate], ways: Ways) -> Result<Vec<Gate>, Cause> {
        let sink = self.graph.nodes.len().saturating_mul(2);
        let mut network = Network::new(sink.saturating_add(1));
        let mut numbered = Vec::new();
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let (into, out) = (index.saturating_mul(2), index.saturating_mul(2).saturating_add(1));
            let mut add = |from, to, way| {
                let gate = gates.iter().find(|gate| gate.node == index && gate.to == way);
                let edge = network.add(from, to, gate.map_or(NEVER, Gate::cost));
                numbered.extend(gate.map(|gate| (edge, *gate)));
            };
            add(into, out, None);
            for next in node
                .successors()
                .filter(|next| !self.ignored(ways).contains(&(index, *next)))
            {
                add(out, next.saturating_mul(2), Some(next));
            }
            let is_end = matches!(node.end, Some(End::Return | End::Jump(_)));
            let fails = self.known.results.get(index).is_some_and(|result| result.fails);
            if is_end && !(ways == Ways::Successful && fails) {
                add(out, sink, Some(usize::MAX));
            }
        }
        let Some(edges) = network.cut() else {
            return Err(self.leak(gates, ways));
        };
        let cut = numbered.into_iter().filter(|(edge, _)| edges.contains(edge));
        Ok(cut.map(|(_, gate)| gate).collect())
    }

    /// Returns why no set of some gates is passed by every way: the end of one that passes none of them.
    fn leak(&self, gates: &[Gate], ways: Ways) -> Cause {
        let barrier = Barrier::of(gates);
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![0]);
        while let Some(index) = ahead.pop() {
            let Some(node) = self.graph.nodes.get(index) else {
                continue;
            };
            if barrier.sites.contains(&index) || !seen.insert(index) {
                continue;
            }
            match node.end {
                Some(End::Jump(Destination::Unknown)) => return Cause::ComputedJump(node.at),
                Some(End::Jump(Destination::Code(_) | Destination::Slot(_))) => return Cause::LeavesImage(node.at),
                Some(End::Return) => return Cause::Missed(node.at),
                Some(End::Stop) | None => {}
            }
            let ways = self.ways_from(index).filter(|way| !self.ignored(ways).contains(way));
            ahead.extend(ways.filter(|way| !barrier.ways.contains(way)).map(|(_, to)| to));
        }
        Cause::NoReturn(self.graph.entry())
    }

    /// Returns an instruction of a set behind which another one may come, or itself again.
    fn passed_twice(&self, set: &[Gate], ways: Ways) -> Option<Vaddr> {
        let barrier = Barrier::of(set);
        let leads_on = |gate: &&Gate| {
            let mut seen = BTreeSet::new();
            let mut ahead: Vec<_> = match gate.to {
                Some(to) => vec![(gate.node, to)],
                None => self.ways_from(gate.node).collect(),
            };
            while let Some(way) = ahead.pop() {
                let (_, here) = way;
                if self.ignored(ways).contains(&way) || !seen.insert(here) {
                    continue;
                }
                if barrier.sites.contains(&here) || self.ways_from(here).any(|way| barrier.ways.contains(&way)) {
                    return true;
                }
                ahead.extend(self.ways_from(here));
            }
            false
        };
        let twice = set.iter().find(leads_on)?;
        self.graph.nodes.get(twice.node).map(|node| node.at)
    }

    fn ways_from(&self, node: usize) -> impl Iterator<Item = (usize, usize)> {
        let nodes = self.graph.nodes.get(node).into_iter();
        nodes.flat_map(Node::successors).map(move |to| (node, to))
    }

    /// The ways that do not matter.
    const fn ignored(&self, ways: Ways) -> &BTreeSet<(usize, usize)> {
        match ways {
            Ways::All => &self.known.unused,
            Ways::Successful => &self.known.failing,
        }
    }
}

/// A set of gates, split into barred instructions and barred edges.
struct Barrier {
    sites: BTreeSet<usize>,
    ways: BTreeSet<(usize, usize)>,
}

impl Barrier {
    fn of(set: &[Gate]) -> Self {
        let sites = set.iter().filter(|gate| gate.to.is_none());
        let ways = set.iter().filter_map(|gate| Some((gate.node, gate.to?)));
        Self {
            sites: sites.map(|gate| gate.node).collect(),
            ways: ways.collect(),
        }
    }
}
