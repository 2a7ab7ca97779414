//! What a call means to its caller, as far as it is known of the function that is called.

use std::collections::BTreeMap;

use super::Function;
use crate::code::convention::Convention;
use crate::code::lift::lift;
use crate::code::operation::{Destination, Operation, bit};
use crate::elf::address::Vaddr;
use crate::limits;

/// Describes a function that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    /// The arguments that it takes in registers, as bits: what is left in other registers does not matter to it.
    pub(crate) takes: u8,
    /// Whether it may find addresses that were stored before.
    pub(crate) finds: bool,
    /// Whether it returns its first argument, and nothing else.
    pub(crate) returns_first: bool,
}

impl Callee {
    /// Is any function.
    pub(crate) const ANY: Self = Self {
        takes: u8::MAX,
        finds: true,
        returns_first: false,
    };

    /// Is a function of so many arguments that stores no addresses and follows none but these.
    pub(crate) const fn of(count: u8) -> Self {
        Self {
            takes: !(u8::MAX << count),
            finds: false,
            returns_first: false,
        }
    }

    /// Returns whether it takes an argument in a register.
    pub(crate) const fn takes(self, index: usize) -> bool {
        index < 8 && self.takes >> index & 1 == 1
    }
}

/// Returns which arguments in registers a function may read, as bits: itself, or by leaving them to one that it calls.
pub(crate) fn read_arguments(function: Function<'_>, entry: Vaddr) -> u8 {
    let convention = Convention::of(function.code.machine);
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
        let Some(left) = steps.checked_sub(1) else {
            return u8::MAX;
        };
        steps = left;
        match read_at(function, at, fresh) {
            Some((registers, next)) => {
                read |= registers;
                ahead.extend(next);
            }
            None => return u8::MAX,
        }
    }
    let arguments = (0..).zip(convention.arguments);
    let arguments = arguments.filter(|(_, register)| read & bit(**register) != 0);
    arguments
        .fold(0, |all, (index, _)| all | bit(index))
        .try_into()
        .unwrap_or(u8::MAX)
}

/// Returns which of the registers an instruction reads, and where it may lead with which of them; `None` if that is not
/// known.
fn read_at(function: Function<'_>, at: Vaddr, mut kept: u32) -> Option<(u32, Vec<(Vaddr, u32)>)> {
    let lifted = lift(function.code, at)?;
    let (mut read, mut next) = (0, Vec::new());
    for operation in &lifted.operations {
        read |= operation.reads() & kept;
        match *operation {
            Operation::Call(to) => return Some((read | left_to(function, to, kept), next)),
            Operation::CallThrough(_) | Operation::JumpThrough(_) => return Some((read | kept, next)),
            Operation::Jump(Destination::Code(to)) if !function.leaves(to) => return Some((read, vec![(to, kept)])),
            Operation::Jump(to) => return Some((read | left_to(function, to, kept), next)),
            Operation::Branch { target, .. } if function.leaves(target) => {
                read |= left_to(function, Destination::Code(target), kept);
            }
            Operation::Branch { target, .. } => next.push((target, kept)),
            Operation::Return | Operation::Trap | Operation::Odd => return Some((read, next)),
            Operation::Opaque | Operation::BranchOn { .. } => return None,
            _ => {}
        }
        kept &= !operation.writes();
    }
    next.push((at.checked_add(lifted.length)?, kept));
    Some((read, next))
}

/// Returns which of the registers a called function may read.
fn left_to(function: Function<'_>, to: Destination, kept: u32) -> u32 {
    let convention = Convention::of(function.code.machine);
    let callee = (function.callee)(to);
    let taken = convention.arguments.iter().enumerate();
    let taken = taken.filter(|(index, _)| callee.takes(*index));
    taken.fold(0, |all, (_, register)| all | bit(*register)) & kept
}
