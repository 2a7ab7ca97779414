//! Follows the paths through one function.
//!
//! The same driver serves every question: a [`Visitor`] is called where something happens that its question is about.
//! Paths end where they leave the function: the part that a compiler moves away holds what it thinks unlikely.

use std::collections::HashSet;

use super::bytes::Code;
use super::lift::lift;
use super::operation::{Destination, Lifted, Operation};
use super::state::State;
use super::step::Step;
use crate::elf::address::Vaddr;

/// Receives the events along the paths through a function.
pub(super) trait Visitor {
    /// A call, with the state before it.
    fn called(&mut self, _to: Destination, _state: &State) {}

    /// A jump out of the function, or the end of its bytes.
    fn left(&mut self, _to: Exit, _state: &State) {}

    /// A return to the caller.
    fn returned(&mut self, _state: &State) {}
}

/// Says how a path leaves a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By a jump.
    Jump(Destination),
    /// By running on into what lies behind it.
    End,
}

/// What becomes of paths that meet in the same state: they are followed further once, or each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// Once.
    Equal,
    /// Each.
    Never,
}

/// Follows every path; `None` if one cannot be followed, or all together take more instructions than `steps`.
pub(super) fn follow(
    code: Code<'_>,
    entry: State,
    merge: Merge,
    steps: usize,
    visitor: &mut impl Visitor,
) -> Option<()> {
    let mut walk = Walk {
        code,
        visitor,
        ahead: vec![entry],
        seen: HashSet::new(),
        steps,
    };
    while let Some(state) = walk.ahead.pop() {
        if merge == Merge::Never || walk.seen.insert(state.clone()) {
            walk.path(state)?;
        }
    }
    Some(())
}

struct Walk<'code, 'visitor, V> {
    code: Code<'code>,
    visitor: &'visitor mut V,
    /// Where paths go on that have not been followed.
    ahead: Vec<State>,
    /// Where paths have begun.
    seen: HashSet<State>,
    steps: usize,
}

impl<V: Visitor> Walk<'_, '_, V> {
    /// Follows one path to its end, or to where it forks.
    fn path(&mut self, mut state: State) -> Option<()> {
        while self.code.contains(state.at) {
            self.steps = self.steps.checked_sub(1)?;
            let Lifted { operations, length } = lift(self.code, state.at)?;
            let next = state.at.checked_add(length)?;
            // A call that nothing follows never returns.
            let is_last = matches!(operations.last(), Some(Operation::Call(_) | Operation::CallThrough(_)))
                && !self.code.contains(next);
            for operation in operations {
                match state.step(operation)? {
                    Step::Next => {}
                    Step::Call(to) => {
                        self.visitor.called(to, &state);
                        state.call();
                    }
                    step @ (Step::Jump(_) | Step::Branch { .. } | Step::SetIf { .. } | Step::Return | Step::Trap) => {
                        self.fork(state, step, next);
                        return Some(());
                    }
                }
            }
            if is_last {
                return Some(());
            }
            state.at = next;
        }
        self.visitor.left(Exit::End, &state);
        Some(())
    }

    fn fork(&mut self, state: State, step: Step, next: Vaddr) {
        match step {
            Step::Next | Step::Call(_) => self.go(state, next),
            Step::Jump(Destination::Code(target)) => self.jump(state, target),
            Step::Jump(target) => self.visitor.left(Exit::Jump(target), &state),
            Step::Branch { when, target } => {
                let (taken, passed) = state.split(when);
                if let Some(state) = taken {
                    self.jump(state, target);
                }
                if let Some(state) = passed {
                    self.go(state, next);
                }
            }
            Step::SetIf { when, to, from, width } => {
                let (set, kept) = state.split(when);
                let set = set.map(|state| state.set_if(true, to, from, width));
                let kept = kept.map(|state| state.set_if(false, to, from, width));
                for state in set.into_iter().chain(kept) {
                    self.go(state, next);
                }
            }
            Step::Return => self.visitor.returned(&state),
            Step::Trap => {}
        }
    }

    /// Goes on at a jump's target if that is in the function.
    fn jump(&mut self, state: State, target: Vaddr) {
        if self.code.contains(target) {
            self.go(state, target);
        } else {
            self.visitor.left(Exit::Jump(Destination::Code(target)), &state);
        }
    }

    fn go(&mut self, mut state: State, at: Vaddr) {
        state.at = at;
        self.ahead.push(state);
    }
}
