//! What is known of the ways through a graph.

use std::collections::BTreeSet;

use super::{Body, Question};
use crate::code::compared::{Failed, failures};
use crate::code::finality::{Final, finality};
use crate::code::forward::Forward;
use crate::code::graph::{End, Graph, Node};
use crate::code::operation::{Condition, Memory, Operation, Way};
use crate::code::step::Step;
use crate::code::value::Value;
use crate::elf::address::Vaddr;

/// Holds what is known of a graph's ways.
pub(super) struct Known {
    /// What is known of the result before each node.
    pub(super) results: Vec<Final>,
    /// The ways whose calls only fail.
    pub(super) failing: BTreeSet<(usize, usize)>,
    /// The ways that no call takes that has been noted.
    pub(super) unused: BTreeSet<(usize, usize)>,
    /// The loop that each node is in, or itself.
    pub(super) loops: Vec<usize>,
    /// The nodes that are passed by calls that need not fail.
    common: Vec<bool>,
    /// The nodes behind which the work is done.
    pub(super) done: Vec<bool>,
}

impl Known {
    pub(super) fn of(body: &Body<'_>, question: &Question) -> Self {
        let outcome = question.outcome;
        let (graph, before) = (&body.graph, &body.before);
        let failed = failures(graph, before, outcome);
        let results = finality(graph, before, &failed, outcome);
        let failing = failing(graph, &results, &failed, outcome.width);
        let unused = unused(body, &failing, question);
        let mut known = Self {
            loops: loops(graph, before),
            common: Vec::new(),
            done: done(body),
            results,
            failing: failing.union(&unused).copied().collect(),
            unused,
        };
        known.common = common(graph, &known);
        known
    }

    pub(super) fn is_common(&self, node: usize) -> bool {
        self.common.get(node) == Some(&true)
    }
}

/// Lists the ways whose calls only fail.
fn failing(graph: &Graph<'_>, results: &[Final], failed: &[Failed], width: u8) -> BTreeSet<(usize, usize)> {
    let ways = graph.nodes.iter().enumerate();
    let ways = ways.flat_map(|(from, node)| node.successors().map(move |to| (from, to)));
    let only_fails = |way: &(usize, usize)| {
        let (from, to) = *way;
        results.get(to).is_some_and(|there| {
            let is_failure = |failed: &Failed| failed.is(from, to) && there.is_known_by(failed, width);
            there.fails || failed.iter().any(is_failure)
        })
    };
    ways.filter(only_fails).collect()
}

/// Lists the ways that no call takes that has been noted: those on which the first argument is null, or not of the kind
/// that the function is for, and those by a pointer to functions that always fail: such a one stands where a structure has
/// no function.
fn unused(body: &Body<'_>, failing: &BTreeSet<(usize, usize)>, question: &Question) -> BTreeSet<(usize, usize)> {
    let graph = &body.graph;
    let is_by_pointer = |node: usize| graph.nodes.get(node).is_some_and(|node| node.is_by_pointer);
    let placeholders = failing.iter().filter(|(from, _)| is_by_pointer(*from)).copied();
    let nodes = graph.nodes.iter().enumerate();
    let excluded = nodes.filter_map(|(index, node)| Some((index, excluded(body, index, node, question)?)));
    placeholders.chain(excluded).collect()
}

/// Returns where a branch leads no noted call.
fn excluded(body: &Body<'_>, index: usize, node: &Node, question: &Question) -> Option<usize> {
    let mut state = body.forward.state(index)?.clone();
    let Some(Step::Branch { when, .. }) = state.step(*node.lifted.operations.last()?) else {
        return None;
    };
    let (Value::Field(field), Value::Constant(0)) = when.compared else {
        return None;
    };
    let (zero, other) = match when.condition {
        Condition::Equal => (node.jumps.first().copied(), node.next),
        Condition::NotEqual => (node.next, node.jumps.first().copied()),
        Condition::Signed(_) | Condition::Other => return None,
    };
    if field.as_argument() == Some(0) {
        return zero;
    }
    other.filter(|_| field.is_type() && question.is_typed)
}

/// For each node, whether calls pass it that need not fail.
fn common(graph: &Graph<'_>, known: &Known) -> Vec<bool> {
    let fails = |node: usize| known.results.get(node).is_none_or(|result| result.fails);
    let (mut common, mut ahead) = (vec![false; graph.nodes.len()], vec![0]);
    while let Some(index) = ahead.pop() {
        match common.get_mut(index).filter(|_| !fails(index)) {
            Some(known @ false) => *known = true,
            Some(true) | None => continue,
        }
        let node = graph.nodes.get(index).into_iter();
        let next = node.flat_map(Node::successors);
        ahead.extend(next.filter(|to| !known.failing.contains(&(index, *to))));
    }
    common
}

/// For each node, a node that stands for all that lead to each other: itself, if it is in no loop.
///
/// By two searches, the second backwards in the order in which the first one is done (Kosaraju, Sharir 1981).
fn loops(graph: &Graph<'_>, before: &[Vec<usize>]) -> Vec<usize> {
    let count = graph.nodes.len();
    let (mut seen, mut order) = (vec![false; count], Vec::with_capacity(count));
    let mut ahead: Vec<(usize, bool)> = (0..count).map(|index| (index, false)).collect();
    while let Some((index, is_done)) = ahead.pop() {
        if is_done {
            order.push(index);
            continue;
        }
        match seen.get_mut(index) {
            Some(known @ false) => *known = true,
            Some(true) | None => continue,
        }
        ahead.push((index, true));
        let next = graph.nodes.get(index).into_iter().flat_map(Node::successors);
        ahead.extend(next.map(|next| (next, false)));
    }
    let mut loops = vec![None; count];
    for root in order.into_iter().rev() {
        let mut ahead = vec![root];
        while let Some(index) = ahead.pop() {
            match loops.get_mut(index) {
                Some(unset @ None) => *unset = Some(root),
                Some(Some(_)) | None => continue,
            }
            ahead.extend(before.get(index).into_iter().flatten());
        }
    }
    loops.into_iter().map(|root| root.unwrap_or(count)).collect()
}

/// For each node, whether whatever follows it calls nothing, and stores nothing but on the function's own stack and in the
/// structures of its first argument.
fn done(body: &Body<'_>) -> Vec<bool> {
    let mut done = vec![true; body.graph.nodes.len()];
    let works = |index: &usize| {
        body.graph
            .nodes
            .get(*index)
            .is_some_and(|node| works(body, *index, node))
    };
    let mut ahead: Vec<usize> = (0..done.len()).filter(works).collect();
    while let Some(index) = ahead.pop() {
        match done.get_mut(index) {
            Some(known @ true) => *known = false,
            Some(false) | None => continue,
        }
        ahead.extend(body.before.get(index).into_iter().flatten());
    }
    done
}

fn works(body: &Body<'_>, index: usize, node: &Node) -> bool {
    let Some(state) = body.forward.state(index) else {
        return false;
    };
    let is_own = |to: Memory, width: u8| {
        let address = state.address(to);
        if let Value::Stack(at) = address {
            return at.saturating_add(width.into()) <= 0;
        }
        address.is_from(0) || is_from_structure(to.base.map(|base| state.register(base)))
    };
    let works = |operation: &Operation| {
        if let Operation::Store { to, width, .. } | Operation::AddTo { to, width, .. } = *operation {
            return !is_own(to, width);
        }
        if let Operation::StoreFlag { to, .. } = *operation {
            return !is_own(to, 1);
        }
        let is_call = matches!(operation.way(), Way::Call(_)) && node.end != Some(End::Stop);
        is_call || matches!(operation, Operation::Overwrite { .. })
    };
    matches!(node.end, Some(End::Jump(_))) || node.lifted.operations.iter().any(works)
}

/// Returns whether an address is loaded from the structure that is the first argument.
fn is_from_structure(base: Option<Value>) -> bool {
    let field = base.and_then(Value::field);
    field.is_some_and(|field| field.one().is_some() || field.two().is_some())
}

/// For each node, whether nothing but the function's own entry leads there.
///
/// A jump away with no frame left is one to another function, which others may call as well, unless it stays within the
/// function's stated bounds.
pub(super) fn own(graph: &Graph<'_>, forward: &Forward, question: &Question) -> Vec<bool> {
    let end = question.entry.checked_add(question.size).unwrap_or(question.entry);
    let is_within = |at: Vaddr| (question.entry..end).contains(&at);
    let (mut own, mut ahead) = (vec![false; graph.nodes.len()], vec![0]);
    while let Some(index) = ahead.pop() {
        match own.get_mut(index) {
            Some(known @ false) => *known = true,
            Some(true) | None => continue,
        }
        let Some(node) = graph.nodes.get(index) else { continue };
        let stays = |to: &usize| {
            let has_frame = forward.depth(graph, *to) != Some(0);
            let target = graph.nodes.get(*to).map(|node| node.at);
            has_frame && !node.is_by_pointer || target.is_some_and(is_within)
        };
        ahead.extend(node.next);
        ahead.extend(node.jumps.iter().copied().filter(stays));
    }
    own
}
