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
    let (when, comparison) = compared_by(graph, before, from, *node.lifted.operations.last()?)?;
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
    } = comparison;
    let (when_taken, when_passed) = bounds(when, right)?;
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

/// Returns the condition of a branch, and the comparison that it is by: its own, or the last one before it.
fn compared_by(
    graph: &Graph<'_>,
    before: &[Vec<usize>],
    from: usize,
    branch: Operation,
) -> Option<(Condition, Comparison)> {
    if let Operation::Branch { when, .. } = branch {
        return Some((when, comparison(graph, before, from)?));
    }
    let Operation::BranchOn {
        compared: (Source::Register(register), Source::Constant(right)),
        width,
        when,
        ..
    } = branch
    else {
        return None;
    };
    let right = signed(right, width);
    Some((when, Comparison { register, right, width }))
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
            let Some((register, right, width)) = compared(*operation) else {
                if !keeps_flags(*operation) {
                    return None;
                }
                changed |= operation.writes();
                continue;
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

/// Returns what register an operation compares with which number, by how many bytes.
fn compared(operation: Operation) -> Option<(Register, i64, u8)> {
    if let Operation::Compare {
        left: Source::Register(left),
        right: Source::Constant(right),
        width,
    } = operation
    {
        return Some((left, signed(right, width), width));
    }
    let Operation::Test {
        left: Source::Register(left),
        right: Source::Register(right),
        width,
    } = operation
    else {
        return None;
    };
    (left == right).then_some((left, 0, width))
}

/// Returns whether an operation leaves the flags alone.
const fn keeps_flags(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Set { .. }
            | Operation::SetSigned { .. }
            | Operation::SetIf { .. }
            | Operation::SetPerhaps { .. }
            | Operation::SetFlag { .. }
            | Operation::Store { .. }
            | Operation::StoreFlag { .. }
            | Operation::Push(_)
            | Operation::Pop(_)
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::around::{Around, bytes, code, code_of_aarch64, words};
    use crate::code::bytes::Code;
    use crate::elf::address::Vaddr;

    const POSITIVE: Outcome = Outcome {
        width: 4,
        success: Success::Positive,
    };

    /// Returns the register of each way behind the only branch of some code that only fails: of the way that it takes,
    /// and of the other.
    fn failing(listing: &str, outcome: Outcome) -> [Option<Register>; 2] {
        failing_in(code(&bytes(listing), 0x1000), outcome)
    }

    fn failing_in(code: Code<'_>, outcome: Outcome) -> [Option<Register>; 2] {
        let graph = Graph::of(code, Vaddr(0x1000), &Around::default()).unwrap();
        let failed = failures(&graph, &graph.predecessors(), outcome);
        let branch = graph.nodes.iter().position(|node| !node.jumps.is_empty()).unwrap();
        let to = |to: usize| failed.iter().find(|failed| failed.is(branch, to));
        let node = &graph.nodes[branch];
        [node.jumps[0], node.next.unwrap()].map(|way| to(way).map(|failed| failed.register))
    }

    /// A comparison, and a jump on a condition.
    fn jump(comparison: &str, condition: &str) -> [Option<Register>; 2] {
        failing(&format!("{comparison} {condition} 01 90 c3"), POSITIVE)
    }

    #[test]
    fn each_condition_bounds_the_number_on_one_way() {
        let (both, taken, passed) = ([None, None], [Some(0), None], [None, Some(0)]);
        for (condition, expected) in [
            ("74", taken),  // je
            ("75", passed), // jne
            ("78", taken),  // js
            ("79", passed), // jns
            ("7c", taken),  // jl
            ("7d", passed), // jge
            ("7e", taken),  // jle
            ("7f", passed), // jg
            ("72", both),   // jb
            ("77", both),   // ja
        ] {
            assert_eq!(jump("85 c0", condition), expected, "test eax,eax; {condition}");
        }
    }

    #[test]
    fn a_branch_on_a_register_bounds_the_number_itself() {
        let (both, taken, passed) = ([None, None], [Some(0), None], [None, Some(0)]);
        for (branch, what, expected) in [
            ("34000040", "cbz w0", taken),
            ("35000040", "cbnz w0", passed),
            ("37f80040", "tbnz w0, #31", taken),
            ("36f80040", "tbz w0, #31", passed),
            ("37180040", "tbnz w0, #3", both),
        ] {
            let words = words(&format!("{branch} d503201f d65f03c0"));
            let found = failing_in(code_of_aarch64(&words, 0x1000), POSITIVE);
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn a_number_that_means_success_bounds_nothing() {
        assert_eq!(jump("83 f8 ff", "74"), [Some(0), None], "cmp eax,-1; je");
        assert_eq!(jump("83 f8 01", "74"), [None, None], "cmp eax,1; je");
        assert_eq!(jump("83 f8 01", "7c"), [Some(0), None], "cmp eax,1; jl");
        assert_eq!(jump("83 f8 01", "7e"), [None, None], "cmp eax,1; jle");
        assert_eq!(jump("83 f8 01", "78"), [None, None], "the difference may overflow");
        let not_negative = Outcome {
            success: Success::NotNegative,
            ..POSITIVE
        };
        assert_eq!(failing("85 c0 7e 01 90 c3", not_negative), [None, None], "zero is none");
        assert_eq!(failing("85 c0 78 01 90 c3", not_negative), [Some(0), None]);
    }

    #[test]
    fn the_comparison_is_that_of_the_branch() {
        assert_eq!(jump("85 c0 89 d9", "7e"), [Some(0), None], "mov ecx,ebx between");
        assert_eq!(jump("85 c0 89 d8", "7e"), [None, None], "mov eax,ebx between");
        assert_eq!(jump("85 c0 ff c1", "7e"), [None, None], "inc ecx between");
        assert_eq!(jump("85 c8", "7e"), [None, None], "test eax,ecx");
        assert_eq!(jump("39 c8", "7e"), [None, None], "cmp eax,ecx");
        assert_eq!(jump("85 c0 e8 00 00 00 00", "7e"), [None, None], "a call between");
    }
}
