//! What the comparison before a branch says of a register, on either way.

use super::convention::Register;
use super::graph::{Graph, Node};
use super::operation::{Condition, Operation, Sign, Source};
use crate::operand::{Outcome, Success};

/// A way on which the number in some lower bytes of a register is known to be one that means no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    from: usize,
    to: usize,
    pub(super) register: Register,
    /// How many bytes were compared.
    pub(super) compared: u8,
}

impl Failed {
    pub(super) const fn is(&self, from: usize, to: usize) -> bool {
        self.from == from && self.to == to
    }
}

/// Lists the ways from branches on which a register is known to hold a failure, by the comparison before.
pub(super) fn failures(graph: &Graph<'_>, before: &[Vec<usize>], outcome: Outcome) -> Vec<Failed> {
    let nodes = graph.nodes.iter().enumerate();
    nodes
        .filter_map(|(index, node)| failures_at(graph, before, index, node, outcome))
        .flatten()
        .collect()
}

fn failures_at(
    graph: &Graph<'_>,
    before: &[Vec<usize>],
    from: usize,
    node: &Node,
    outcome: Outcome,
) -> Option<Vec<Failed>> {
    let Some(Operation::Branch { when, .. }) = node.lifted.operations.last() else {
        return None;
    };
    let ([taken], Some(passed)) = (&node.jumps[..], node.next) else {
        return None;
    };
    if *taken == passed {
        return None;
    }
    let Comparison {
        register,
        right,
        width: compared,
    } = comparison(graph, before, from)?;
    let (when_taken, when_passed) = bounds(*when, right)?;
    let way = |to: usize, greatest: Option<i64>| {
        let fails = greatest.is_some_and(|greatest| is_failure(greatest, outcome));
        fails.then_some(Failed {
            from,
            to,
            register,
            compared,
        })
    };
    Some(
        way(*taken, when_taken)
            .into_iter()
            .chain(way(passed, when_passed))
            .collect(),
    )
}

/// Lists the ways from branches on which a register holds zero as a whole, with the register.
pub(super) fn zeros(graph: &Graph<'_>, before: &[Vec<usize>]) -> Vec<(usize, usize, Register)> {
    let zero = |(from, node): (usize, &Node)| {
        let Some(Operation::Branch { when, .. }) = node.lifted.operations.last() else {
            return None;
        };
        let Comparison {
            register,
            right: 0,
            width: 8,
        } = comparison(graph, before, from)?
        else {
            return None;
        };
        let to = match when {
            Condition::Equal => *node.jumps.first()?,
            Condition::NotEqual => node.next?,
            Condition::Signed(_) | Condition::Other => return None,
        };
        Some((from, to, register))
    };
    graph.nodes.iter().enumerate().filter_map(zero).collect()
}

/// The greatest number that the left side can be where a branch is taken and where it is not, if there is a bound.
const fn bounds(when: Condition, right: i64) -> Option<(Option<i64>, Option<i64>)> {
    Some(match when {
        Condition::Equal | Condition::Signed(Sign::LessOrEqual) => (Some(right), None),
        Condition::NotEqual | Condition::Signed(Sign::Greater) => (None, Some(right)),
        Condition::Signed(Sign::Less) => (right.checked_sub(1), None),
        Condition::Signed(Sign::GreaterOrEqual) => (None, right.checked_sub(1)),
        // The sign of a difference from zero is that of the number.
        Condition::Signed(Sign::Negative) if right == 0 => (Some(-1), None),
        Condition::Signed(Sign::NotNegative) if right == 0 => (None, Some(-1)),
        Condition::Signed(Sign::Negative | Sign::NotNegative) | Condition::Other => return None,
    })
}

/// A comparison of some lower bytes of a register with a number.
struct Comparison {
    register: Register,
    right: i64,
    width: u8,
}

/// Finds the comparison that a branch is by.
fn comparison(graph: &Graph<'_>, before: &[Vec<usize>], branch: usize) -> Option<Comparison> {
    let mut changed = 0_u32;
    let mut here = branch;
    loop {
        let [previous] = before.get(here)?[..] else {
            return None;
        };
        let node = graph.nodes.get(previous).filter(|node| node.next == Some(here))?;
        for operation in node.lifted.operations.iter().rev() {
            let (register, right, width) = match *operation {
                Operation::Compare {
                    left: Source::Register(left),
                    right: Source::Constant(right),
                    width,
                } => (left, signed(right, width), width),
                Operation::Test {
                    left: Source::Register(left),
                    right: Source::Register(right),
                    width,
                } if left == right => (left, 0, width),
                Operation::Set { to, .. }
                | Operation::SetSigned { to, .. }
                | Operation::SetIf { to, .. }
                | Operation::SetPerhaps { to, .. }
                | Operation::Pop(to) => {
                    changed |= 1 << to;
                    continue;
                }
                Operation::Store { .. } | Operation::Push(_) => continue,
                // Whatever else may set the flags.
                Operation::Compare { .. }
                | Operation::Test { .. }
                | Operation::Add { .. }
                | Operation::Compute { .. }
                | Operation::Spoil(_)
                | Operation::Overwrite { .. }
                | Operation::Call(_)
                | Operation::CallThrough(_)
                | Operation::Branch { .. }
                | Operation::BranchOn { .. }
                | Operation::Jump(_)
                | Operation::JumpThrough(_)
                | Operation::Return
                | Operation::Trap
                | Operation::Odd
                | Operation::Opaque => return None,
            };
            let is_kept = changed >> register & 1 == 0;
            return is_kept.then_some(Comparison { register, right, width });
        }
        here = previous;
        if here == branch {
            return None;
        }
    }
}

/// Extends the sign of a number's lower bytes.
pub(super) fn signed(number: u64, width: u8) -> i64 {
    let bits = 64_u32.saturating_sub(u32::from(width).saturating_mul(8));
    let shifted = number.checked_shl(bits).unwrap_or_default().cast_signed();
    shifted.checked_shr(bits).unwrap_or_default()
}

/// Returns whether a result means no success.
pub(super) const fn is_failure(number: i64, outcome: Outcome) -> bool {
    match outcome.success {
        Success::Positive => number <= 0,
        Success::NotNegative => number < 0,
    }
}
