//! The jumps by which calls come to a return of a function of Go, with their result final.
//!
//! A function of Go that defers a call puts its result on the stack, makes the call, and loads the result again: no instruction
//! behind that is emulated by the kernel. The jumps that lead to where it puts the result are: each call passes one of them,
//! once, and then only calls what it has deferred. So they stand for the return, which would be single-stepped.

use super::convention::{Convention, Register};
use super::exits::{Found, Spot, condition};
use super::forward::Forward;
use super::graph::{End, Graph, Node};
use super::instruction::emulated;
use super::operation::{Memory, Operation, Source, Way};
use super::site::Tier;
use super::value::Value;
use crate::elf::address::Vaddr;
use crate::limits;

/// What is known of a function, to find the jumps that lead to its returns.
#[derive(Debug)]
pub(super) struct Approach<'a> {
    pub(super) graph: &'a Graph<'a>,
    pub(super) before: &'a [Vec<usize>],
    pub(super) forward: &'a Forward,
    pub(super) convention: Convention,
    /// Where calls are noted: they do not end there.
    pub(super) noted: usize,
    /// The calls that get the address of the buffer.
    pub(super) handing: &'a [Vaddr],
}

/// Where the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Register(Register),
    /// In a word of the stack, counted from where the stack pointer stood at the entry.
    Slot(i64),
}

impl Approach<'_> {
    /// Lists the jumps by which calls come to a return; `None` if they come there otherwise, or do more behind them than
    /// what they have deferred.
    pub(super) fn jumps_to(&self, end: usize) -> Option<Vec<Spot>> {
        let mut spots = Vec::new();
        let mut ahead = vec![(end, Held::Register(self.convention.first_result()))];
        let mut joins = 0_usize;
        while let Some((mut at, mut held)) = ahead.pop() {
            let ways = loop {
                match self.before.get(at)?.as_slice() {
                    [] => return None,
                    [one] if self.is_passed(*one) => {
                        held = self.held_before(*one, held)?;
                        at = *one;
                    }
                    ways => break ways,
                }
            };
            joins = joins.checked_add(1).filter(|joins| *joins <= limits::APPROACH_JOINS)?;
            for from in ways {
                if self.is_passed(*from) {
                    ahead.push((*from, self.held_before(*from, held)?));
                } else {
                    spots.push(self.spot(*from, at, held)?);
                }
            }
        }
        (!spots.is_empty()).then_some(spots)
    }

    /// Returns whether an instruction is passed on the way back: nothing but the next one follows it.
    fn is_passed(&self, node: usize) -> bool {
        self.graph.nodes.get(node).is_some_and(|node| {
            let is_jump = matches!(
                node.lifted.operations.last().map(|last| last.way()),
                Some(Way::Jump(_) | Way::Branch(_))
            );
            !is_jump && node.jumps.is_empty()
        })
    }

    /// Makes the site at a jump, if the result is in a register there.
    fn spot(&self, from: usize, to: usize, held: Held) -> Option<Spot> {
        let Held::Register(register) = held else {
            return None;
        };
        let node = self.graph.nodes.get(from).filter(|_| from != self.noted)?;
        let bytes = self.graph.code.from(node.at)?;
        let ways = node.successors().count();
        let when = if ways == 1 {
            None
        } else {
            // Both ways could lead there.
            let is_fork = ways == 2 && node.next != node.jumps.first().copied();
            Some(condition(self.graph.code, node, to).filter(|_| is_fork)?)
        };
        Some(Spot {
            at: node.at,
            tier: Tier::Emulated,
            instruction: emulated(self.graph.code.machine, bytes)?,
            depth: self.forward.depth(self.graph, from)?,
            result: Found::Register(register, WORD),
            when,
            is_rare: false,
        })
    }

    /// Returns where the result is before an instruction, if that neither makes it nor calls anything but what was deferred.
    fn held_before(&self, index: usize, mut held: Held) -> Option<Held> {
        let node = self.graph.nodes.get(index).filter(|_| index != self.noted)?;
        if matches!(node.end, Some(End::Stop)) {
            return None;
        }
        for operation in node.lifted.operations.iter().rev() {
            held = self.held_before_operation(index, node, *operation, held)?;
        }
        Some(held)
    }

    fn held_before_operation(&self, index: usize, node: &Node, operation: Operation, held: Held) -> Option<Held> {
        let place = |memory: Memory| self.forward.state(index)?.address(memory).stack_address();
        match (operation, held) {
            (Operation::CallThrough(_), Held::Slot(_)) => (!self.handing.contains(&node.at)).then_some(held),
            // A push stores a word below the stack pointer.
            (Operation::Call(_) | Operation::CallThrough(_), _) | (Operation::Push(_), Held::Slot(_)) => None,
            (Operation::Set { to, from, width: WORD }, Held::Register(register)) if to == register => match from {
                Source::Register(from) => Some(Held::Register(from)),
                Source::Memory(memory) => place(memory).filter(|at| self.is_private(*at)).map(Held::Slot),
                Source::Constant(_) | Source::Address(_) => None,
            },
            (Operation::Store { to, from, width }, Held::Slot(at)) => {
                let to = place(to);
                if to == Some(at) && width == WORD {
                    return match from {
                        Source::Register(from) => Some(Held::Register(from)),
                        Source::Constant(_) | Source::Memory(_) | Source::Address(_) => None,
                    };
                }
                is_apart(to, Some(width.into()), at).then_some(held)
            }
            (Operation::StoreUpper { to, .. }, Held::Slot(at)) => is_apart(place(to), Some(VECTOR), at).then_some(held),
            (Operation::AddTo { to, width, .. }, Held::Slot(at)) => {
                is_apart(place(to), Some(width.into()), at).then_some(held)
            }
            (Operation::StoreFlag { to, .. }, Held::Slot(at)) => is_apart(place(to), Some(1), at).then_some(held),
            (Operation::Overwrite { to, width, .. }, Held::Slot(at)) => {
                is_apart(place(to), width.map(i64::from), at).then_some(held)
            }
            (other, Held::Register(register)) => (other.writes() >> register & 1 == 0).then_some(held),
            (_, Held::Slot(_)) => Some(held),
        }
    }

    /// Returns whether no address of the function's stack that it has anywhere reaches a word: the word belongs to no variable
    /// that other code could change.
    fn is_private(&self, word: i64) -> bool {
        let reaches = |value: Value| {
            value
                .lowest_on_stack()
                .is_some_and(|lowest| lowest < word.saturating_add(8))
        };
        let registers =
            || (0..self.convention.registers()).filter(|register| *register != self.convention.stack_pointer());
        (0..self.graph.nodes.len()).all(|index| {
            let state = self.forward.state(index);
            state.is_none_or(|state| !registers().any(|register| reaches(state.register(register))))
        })
    }
}

/// Returns whether bytes that are written lie beside a word of the stack: on the stack elsewhere, or not on it.
fn is_apart(to: Option<i64>, bytes: Option<i64>, word: i64) -> bool {
    // The word is private.
    to.is_none_or(|to| to >= word.saturating_add(8) || bytes.is_some_and(|bytes| to.saturating_add(bytes) <= word))
}

/// How many bytes a word has.
const WORD: u8 = 8;
/// How many bytes a vector register has.
const VECTOR: i64 = 16;
