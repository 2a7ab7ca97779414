//! The instructions that can be reached from a function's entry, and where its paths meet.

use std::collections::{BTreeMap, BTreeSet};

use super::Function;
use crate::cause::Cause;
use crate::code::lift::lift;
use crate::code::operation::{Lifted, Operation};
use crate::elf::address::Vaddr;
use crate::limits;

/// Holds the instructions of a function by their addresses.
#[derive(Debug, Default)]
pub(super) struct Graph {
    instructions: BTreeMap<Vaddr, Lifted>,
    /// Where jumps lead, and what follows a branch.
    leaders: BTreeSet<Vaddr>,
}

impl Graph {
    /// Decodes all that can be reached without leaving the function or the parts of it that lie elsewhere.
    pub(super) fn decode(function: Function<'_>, entry: Vaddr, parts: &BTreeSet<Vaddr>) -> Result<Self, Cause> {
        let mut graph = Self::default();
        let mut ahead = vec![entry];
        graph.leaders.insert(entry);
        while let Some(at) = ahead.pop() {
            if graph.instructions.contains_key(&at) {
                continue;
            }
            if graph.instructions.len() == limits::FUNCTION_INSTRUCTIONS {
                return Err(Cause::TooLarge(entry));
            }
            function.spend(1).ok_or(Cause::TooLarge(entry))?;
            let lifted = lift(function.code, at).ok_or(Cause::NotUnderstood(at))?;
            let next = at.checked_add(lifted.length).ok_or(Cause::NotUnderstood(at))?;
            let target = lifted.target();
            let target =
                target.filter(|target| *target == entry || parts.contains(target) || !function.leaves(*target));
            if let Some(target) = target {
                graph.leaders.insert(target);
                ahead.push(target);
            }
            if lifted.target().is_some() {
                graph.leaders.insert(next);
            }
            if lifted.goes_on() && !(ends_in_call(&lifted) && function.ends(next)) {
                ahead.push(next);
            }
            graph.instructions.insert(at, lifted);
        }
        graph.refuse_overlap()?;
        Ok(graph)
    }

    pub(super) fn at(&self, at: Vaddr) -> Option<&Lifted> {
        self.instructions.get(&at)
    }

    pub(super) fn is_leader(&self, at: Vaddr) -> bool {
        self.leaders.contains(&at)
    }

    fn refuse_overlap(&self) -> Result<(), Cause> {
        let following = self.instructions.keys().skip(1);
        for ((at, lifted), next) in self.instructions.iter().zip(following) {
            if at.0.saturating_add(lifted.length) > next.0 {
                return Err(Cause::Overlapping(*at));
            }
        }
        Ok(())
    }
}

/// Returns whether an instruction calls a function.
pub(super) fn ends_in_call(lifted: &Lifted) -> bool {
    matches!(
        lifted.operations.last(),
        Some(Operation::Call(_) | Operation::CallThrough(_))
    )
}
