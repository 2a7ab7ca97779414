//! What registers hold before each instruction of a graph, whichever way led there.
//!
//! Where ways meet, a register holds what it holds on all of them, or anything. The stack pointer has to be the same on
//! all.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::callee::Callee;
use super::convention::Convention;
use super::field::Field;
use super::graph::{End, Graph};
use super::operation::Destination;
use super::state::{Purpose, State};
use super::step::Step;
use super::value::Value;
use crate::cause::Cause;

/// Holds what is known before each node of a graph; nothing of one that is not reached.
#[derive(Debug)]
pub(super) struct Forward {
    states: Vec<Option<State>>,
}

impl Forward {
    /// Executes the graph until nothing changes any more, with no more instructions than the budget has.
    pub(super) fn of(graph: &Graph<'_>, convention: Convention, budget: &Cell<usize>) -> Result<Self, Cause> {
        let mut forward = Self {
            states: vec![None; graph.nodes.len()],
        };
        let arguments = (0..convention.arguments.len()).map(|index| Value::Field(Field::argument(index)));
        let arguments: Vec<_> = arguments.collect();
        let purpose = Purpose::Everything { tracked: None };
        forward.enter(0, State::new(graph.entry(), convention, &arguments, purpose));
        // In the order of addresses, ways mostly meet before they go on.
        let mut ahead = BTreeSet::from([(graph.entry(), 0)]);
        while let Some((_, index)) = ahead.pop_first() {
            let left = budget.get().checked_sub(1);
            budget.set(left.ok_or(Cause::TooLarge(graph.entry()))?);
            let (Some(node), Some(state)) = (graph.nodes.get(index), forward.state(index)) else {
                continue;
            };
            let mut state = state.clone();
            if !state.knows_stack() {
                return Err(Cause::StackPointer(node.at));
            }
            for operation in &node.lifted.operations {
                if let Step::Call(_) = state.step(*operation).ok_or(Cause::NotUnderstood(node.at))? {
                    state.call_to(Callee::ANY);
                }
            }
            // Where a jump leads that has not been followed is not known yet.
            let leaves = match node.end {
                Some(End::Return | End::Jump(Destination::Code(_) | Destination::Slot(_))) => true,
                Some(End::Jump(Destination::Unknown) | End::Stop) | None => false,
            };
            if leaves && !state.is_at_return_address() {
                return Err(Cause::Unbalanced(node.at));
            }
            for next in node.successors() {
                if forward.enter(next, state.clone()) {
                    ahead.extend(graph.nodes.get(next).map(|node| (node.at, next)));
                }
            }
        }
        Ok(forward)
    }

    /// Returns what is known before a node.
    pub(super) fn state(&self, index: usize) -> Option<&State> {
        self.states.get(index)?.as_ref()
    }

    /// Returns how far the stack pointer is below where the function was entered, before a node.
    pub(super) fn depth(&self, graph: &Graph<'_>, index: usize) -> Option<u16> {
        let stack = Convention::of(graph.code.machine).stack;
        let Value::Stack(at) = self.state(index)?.register(stack) else {
            return None;
        };
        u16::try_from(at.checked_neg()?).ok()
    }

    /// Adds a way into a node; returns whether less is known there now, or it was not reached before.
    fn enter(&mut self, index: usize, state: State) -> bool {
        match self.states.get_mut(index) {
            Some(Some(known)) => known.join(&state),
            Some(unreached) => {
                *unreached = Some(state);
                true
            }
            None => false,
        }
    }
}
