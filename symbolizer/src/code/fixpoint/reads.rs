//! Which of its arguments a function reads.
//!
//! Registers keep what was in them when a call does not need them, so what a function is given is not always meant for it.

use std::collections::BTreeMap;

use super::Function;
use crate::code::lift::lift;
use crate::code::operation::{Destination, Target, Way, bit};
use crate::elf::address::Vaddr;
use crate::limits;

/// Returns which arguments in registers a function may read, as bits: itself, or by leaving them to one that it calls.
pub(crate) fn read_arguments(function: Function<'_>, entry: Vaddr) -> u32 {
    let convention = function.convention;
    let all = convention
        .arguments
        .iter()
        .fold(0, |all, register| all | bit(*register));
    // The registers that may hold what they held at the entry.
    let mut untouched: BTreeMap<Vaddr, u32> = BTreeMap::new();
    let mut ahead = vec![(entry, all)];
    let (mut read, mut steps) = (0, limits::READ_STEPS);
    while let Some((at, kept)) = ahead.pop() {
        let known = untouched.entry(at).or_default();
        let fresh = kept & !*known & !read;
        if fresh == 0 {
            continue;
        }
        *known |= fresh;
        let left = steps.checked_sub(1).filter(|_| function.spend(1).is_some());
        let Some(left) = left else {
            return u32::MAX;
        };
        steps = left;
        match read_at(function, at, fresh) {
            Some((registers, next)) => {
                read |= registers;
                ahead.extend(next);
            }
            None => return u32::MAX,
        }
    }
    let arguments = (0..).zip(convention.arguments);
    let arguments = arguments.filter(|(_, register)| read & bit(**register) != 0);
    arguments.fold(0, |all, (index, _)| all | bit(index))
}

/// Returns which of the registers an instruction reads, and where it may lead with which of them; `None` if that is not
/// known.
fn read_at(function: Function<'_>, at: Vaddr, mut kept: u32) -> Option<(u32, Vec<(Vaddr, u32)>)> {
    let lifted = lift(function.code, at)?;
    let (mut read, mut next) = (0, Vec::new());
    for operation in &lifted.operations {
        read |= operation.reads() & kept;
        let target = match operation.way() {
            Way::On => None,
            Way::Branch(to) => Some(to),
            Way::Jump(Target::Fixed(Destination::Code(to))) if !function.leaves(to) => {
                return Some((read, vec![(to, kept)]));
            }
            Way::Jump(Target::Fixed(to)) | Way::Call(Target::Fixed(to)) => {
                return Some((read | left_to(function, to, kept), next));
            }
            Way::Jump(Target::Through(_)) | Way::Call(Target::Through(_)) => return Some((read | kept, next)),
            Way::Return | Way::End => return Some((read, next)),
        };
        match target {
            Some(target) if function.leaves(target) => {
                read |= left_to(function, Destination::Code(target), kept);
            }
            other => next.extend(other.map(|target| (target, kept))),
        }
        kept &= !operation.writes();
    }
    next.push((at.checked_add(lifted.length)?, kept));
    Some((read, next))
}

/// Returns which of the registers a called function may read.
fn left_to(function: Function<'_>, to: Destination, kept: u32) -> u32 {
    let convention = function.convention;
    let callee = (function.callee)(to);
    let taken = convention.arguments.iter().enumerate();
    let taken = taken.filter(|(index, _)| callee.takes(*index));
    taken.fold(0, |all, (_, register)| all | bit(*register)) & kept
}
