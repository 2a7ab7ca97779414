//! What holds at each instruction of a whole function, on all paths to it.
//!
//! Following each path does not scale to functions of a thousand instructions, so here states are joined where paths
//! meet, until nothing changes. The instructions are those that [`State`] executes elsewhere too. A branch that compares
//! numbers is decided; all others are taken both ways.
//!
//! A function with a jump table, an odd stack pointer, or code that overlaps is refused, with the [`Cause`].

mod graph;
mod reads;
pub(crate) mod places;
pub(crate) mod returned;
pub(crate) mod seen;
pub(crate) mod uses;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::bytes::Code;
use super::callee::Callee;
use super::convention::Convention;
use super::lift::lift;
use super::operation::{Destination, Operation};
use super::state::State;
use super::step::Step;
use crate::cause::Cause;
use crate::elf::address::Vaddr;
use crate::limits;

use graph::{Graph, ends_in_call};
pub(crate) use reads::read_arguments;

/// A function with the code around it, and where functions begin there as far as that is known.
#[derive(Clone, Copy)]
pub(crate) struct Function<'a> {
    /// All bytes that may be code of the function.
    pub(crate) code: Code<'a>,
    /// Where the function finds its arguments, and what its calls leave.
    pub(crate) convention: Convention,
    /// Returns whether a function begins at an address, or a part of one.
    pub(crate) is_start: &'a dyn Fn(Vaddr) -> bool,
    /// Returns what is known of a called function.
    pub(crate) callee: &'a dyn Fn(Destination) -> Callee,
    /// Returns whether a called function never returns.
    pub(crate) never_returns: &'a dyn Fn(Destination) -> bool,
    /// How many more instructions are executed, for all functions together.
    pub(crate) budget: &'a Cell<usize>,
}

impl Function<'_> {
    /// Takes instructions from the budget, if it has so many.
    fn spend(self, instructions: usize) -> Option<()> {
        let left = self.budget.get().checked_sub(instructions)?;
        self.budget.set(left);
        Some(())
    }

    fn begins(self, at: Vaddr) -> bool {
        (self.is_start)(at)
    }

    /// Returns whether a jump leads to another function, or to a part of this one that lies elsewhere.
    fn leaves(self, at: Vaddr) -> bool {
        self.begins(at) || !self.code.contains(at)
    }

    /// Returns whether nothing of the function lies at an address behind its code: at most what fills the space up to
    /// the next one.
    fn ends(self, mut at: Vaddr) -> bool {
        loop {
            if self.leaves(at) {
                return true;
            }
            let filler = lift(self.code, at).filter(|lifted| lifted.operations == [Operation::Spoil(0)]);
            let Some(next) = filler.and_then(|lifted| at.checked_add(lifted.length)) else {
                return false;
            };
            // Functions begin at multiples of 16 bytes.
            if next.0 >> 4 != at.0 >> 4 && !self.begins(next) {
                return false;
            }
            at = next;
        }
    }
}

/// Holds what is known at the instructions of a function that can be executed.
pub(crate) struct Fixpoint<'a> {
    function: Function<'a>,
    graph: Graph,
    /// The states where paths begin or meet.
    states: BTreeMap<Vaddr, State>,
    /// The states with which the first path came there.
    first: BTreeMap<Vaddr, State>,
}

/// Analyses a function that is entered in a state.
pub(super) fn fixpoint<'a>(function: Function<'a>, entry: &State) -> Result<Fixpoint<'a>, Cause> {
    let mut parts = BTreeSet::new();
    let mut steps = limits::FUNCTION_STEPS;
    loop {
        let graph = Graph::decode(function, entry.at, &parts)?;
        let mut settling = Settling {
            function,
            graph: &graph,
            states: BTreeMap::from([(entry.at, entry.clone())]),
            first: BTreeMap::from([(entry.at, entry.clone())]),
            waiting: BTreeSet::from([entry.at]),
            steps,
        };
        let settled = settling.settle(entry.at);
        steps = settling.steps;
        match settled {
            Ok(()) => {
                let Settling { states, first, .. } = settling;
                return Ok(Fixpoint {
                    function,
                    graph,
                    states,
                    first,
                });
            }
            Err(Unsettled::Refused(cause)) => return Err(cause),
            Err(Unsettled::Elsewhere(part)) => {
                if !function.code.contains(part) {
                    return Err(Cause::ComputedJump(part));
                }
                if parts.len() == limits::FUNCTION_PARTS || !parts.insert(part) {
                    return Err(Cause::TooLarge(entry.at));
                }
            }
        }
    }
}

impl Fixpoint<'_> {
    /// Returns whether an instruction of the function begins at an address.
    pub(super) fn contains(&self, at: Vaddr) -> bool {
        self.graph.at(at).is_some()
    }

    /// Returns what is known of a called function.
    fn callee(&self, to: Destination) -> Callee {
        (self.function.callee)(to)
    }

    /// Hands every operation that can be executed to a visitor, with its instruction's address and the state before
    /// the operation.
    pub(super) fn visit(&self, mut visitor: impl FnMut(Vaddr, Operation, &State)) {
        for state in self.states.values() {
            self.visit_block(state.clone(), &mut visitor);
        }
    }

    /// Does the same with the state that the first path brings, so that the first round of a loop is seen as it is.
    pub(super) fn visit_first(&self, mut visitor: impl FnMut(Vaddr, Operation, &State)) {
        for state in self.first.values() {
            self.visit_block(state.clone(), &mut visitor);
        }
    }

    /// Returns whether paths begin or may meet at an address.
    pub(super) fn begins_at(&self, at: Vaddr) -> bool {
        self.states.contains_key(&at)
    }

    /// Returns the address behind an instruction.
    pub(super) fn next(&self, at: Vaddr) -> Option<Vaddr> {
        at.checked_add(self.graph.at(at)?.length)
    }

    fn visit_block(&self, mut state: State, visitor: &mut impl FnMut(Vaddr, Operation, &State)) {
        loop {
            let Some(lifted) = self.graph.at(state.at) else { return };
            for operation in &lifted.operations {
                visitor(state.at, *operation, &state);
                match state.step(*operation) {
                    Some(Step::Next) => {}
                    Some(Step::Call(to)) if !(self.function.never_returns)(to) => call(&mut state, self.function, to),
                    _ => return,
                }
            }
            let Some(next) = state.at.checked_add(lifted.length) else {
                return;
            };
            if self.graph.is_leader(next) {
                return;
            }
            state.at = next;
        }
    }
}

/// Comes back from a call. What is called may not matter.
fn call(state: &mut State, function: Function<'_>, to: Destination) {
    let callee = if state.depends_on_callee() {
        (function.callee)(to)
    } else {
        Callee::ANY
    };
    state.call_to(callee);
}

/// Says why states do not settle.
enum Unsettled {
    Refused(Cause),
    /// A part of the function lies here, behind another function.
    Elsewhere(Vaddr),
}

impl From<Cause> for Unsettled {
    fn from(cause: Cause) -> Self {
        Self::Refused(cause)
    }
}

struct Settling<'a> {
    function: Function<'a>,
    graph: &'a Graph,
    states: BTreeMap<Vaddr, State>,
    first: BTreeMap<Vaddr, State>,
    /// Where paths begin or meet whose states have changed.
    waiting: BTreeSet<Vaddr>,
    steps: usize,
}

impl Settling<'_> {
    fn settle(&mut self, entry: Vaddr) -> Result<(), Unsettled> {
        while let Some(at) = self.waiting.pop_first() {
            let Some(state) = self.states.get(&at).cloned() else {
                continue;
            };
            self.block(state, entry)?;
        }
        Ok(())
    }

    /// Executes what follows until paths meet or part.
    fn block(&mut self, mut state: State, entry: Vaddr) -> Result<(), Unsettled> {
        loop {
            let at = state.at;
            self.steps = self.steps.checked_sub(1).ok_or(Cause::TooLarge(entry))?;
            self.function.spend(1).ok_or(Cause::TooLarge(entry))?;
            let graph = self.graph;
            let lifted = graph.at(at).ok_or(Cause::NotUnderstood(at))?;
            let next = at.checked_add(lifted.length).ok_or(Cause::NotUnderstood(at))?;
            for operation in &lifted.operations {
                let knows_stack = state.knows_stack();
                let step = state.step(*operation).ok_or(if knows_stack {
                    Cause::NotUnderstood(at)
                } else {
                    Cause::StackPointer(at)
                })?;
                match step {
                    Step::Next => {}
                    Step::Call(to) if (self.function.never_returns)(to) => return Ok(()),
                    Step::Call(to) => call(&mut state, self.function, to),
                    step @ (Step::Jump(_) | Step::Branch { .. } | Step::SetIf { .. } | Step::Return | Step::Trap) => {
                        return self.part(state, step, next);
                    }
                }
            }
            if !state.knows_stack() {
                return Err(Cause::StackPointer(at).into());
            }
            if self.function.ends(next) {
                // A call that nothing follows never returns.
                let never_returns = ends_in_call(lifted);
                return never_returns.then_some(()).ok_or(Cause::NotUnderstood(at).into());
            }
            if self.graph.is_leader(next) {
                self.arrive(state, next);
                return Ok(());
            }
            state.at = next;
        }
    }

    fn part(&mut self, state: State, step: Step, next: Vaddr) -> Result<(), Unsettled> {
        let at = state.at;
        match step {
            Step::Branch { when, target } => {
                let (taken, passed) = state.split(when);
                if let Some(taken) = taken {
                    self.jump(taken, target)?;
                }
                if let Some(passed) = passed {
                    if self.function.ends(next) {
                        return Err(Cause::NotUnderstood(at).into());
                    }
                    self.arrive(passed, next);
                }
                Ok(())
            }
            Step::Jump(Destination::Code(target)) => self.jump(state, target),
            // Another function returns to our caller.
            Step::Jump(_) | Step::Return if state.is_at_return_address() => Ok(()),
            Step::Jump(_) => Err(Cause::ComputedJump(at).into()),
            Step::Return => Err(Cause::StackPointer(at).into()),
            Step::Trap => Ok(()),
            Step::Next | Step::Call(_) | Step::SetIf { .. } => Err(Cause::NotUnderstood(at).into()),
        }
    }

    /// Goes on at the target of a jump, unless that is another function, which returns to our caller.
    fn jump(&mut self, state: State, target: Vaddr) -> Result<(), Unsettled> {
        if self.graph.at(target).is_some() {
            self.arrive(state, target);
            Ok(())
        } else if state.is_at_return_address() {
            Ok(())
        } else {
            Err(Unsettled::Elsewhere(target))
        }
    }

    fn arrive(&mut self, mut state: State, at: Vaddr) {
        state.at = at;
        let changed = if let Some(known) = self.states.get_mut(&at) {
            known.join(&state)
        } else {
            self.first.insert(at, state.clone());
            self.states.insert(at, state).is_none()
        };
        if changed {
            self.waiting.insert(at);
        }
    }
}

#[cfg(test)]
mod tests;
