//! Which of a plan's hooks are placed, where hooks of several kinds would bring the same bytes.
//!
//! Reading and writing are chosen apart: each gets the hooks of one kind. A function of any other role that has hooks
//! of several kinds gets those of one kind too; all other hooks are placed as they are.

use crate::hook::{Hook, HookKind, Role};
use crate::plan::ProbePlan;

/// Says which kinds of hooks may carry plaintext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The cheapest kind that is proven.
    #[default]
    Auto,
    /// Hooks that bring all with one hit, or with none in the process; a direction that has no such hooks gets none.
    Tap,
    /// Hooks at the entry and at the exits; a direction that has no such hooks gets none.
    Exit,
    /// Return probes; a direction that has no such hooks gets none.
    Return,
}

impl Policy {
    /// Lists the kinds that a policy allows, the cheapest first. A hook at an entry alone has no alternative.
    const fn kinds(self) -> &'static [HookKind] {
        match self {
            Self::Auto => &[HookKind::Tap, HookKind::Lift, HookKind::Exit, HookKind::Return],
            Self::Tap => &[HookKind::Tap, HookKind::Lift],
            Self::Exit => &[HookKind::Exit],
            Self::Return => &[HookKind::Return],
        }
    }
}

/// Chooses the hooks to place, in the plan's order.
pub fn choose(plan: &ProbePlan, policy: Policy) -> Vec<&Hook> {
    among(&plan.hooks, policy)
}

fn among(hooks: &[Hook], policy: Policy) -> Vec<&Hook> {
    let is_chosen = |hook: &&Hook| hook.kind == HookKind::Entry || kind_for(hook, hooks, policy) == Some(hook.kind);
    hooks.iter().filter(is_chosen).collect()
}

/// Returns the kind to place among those that would do what a hook does.
fn kind_for(hook: &Hook, hooks: &[Hook], policy: Policy) -> Option<HookKind> {
    let is_direction = is_direction(hook.role);
    // What carries no plaintext is not what a policy is about: a kind that is not there is replaced.
    let policy = if is_direction { policy } else { Policy::Auto };
    let stands_for = |other: &Hook| other.role == hook.role && (is_direction || other.address == hook.address);
    let has_kind = |kind: &HookKind| hooks.iter().any(|other| other.kind == *kind && stands_for(other));
    policy.kinds().iter().copied().find(has_kind)
}

/// Returns whether all hooks of a role bring the same bytes, whatever functions they are in.
const fn is_direction(role: Role) -> bool {
    role.carries_plaintext()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::instruction::Instruction;
    use crate::code::site::{Site, Tier};
    use crate::elf::address::{FileOffset, Vaddr};
    use crate::elf::survey::SymbolSource;
    use crate::hook::Proof;
    use crate::operand::{Operand, Operands, Place};

    fn hook(kind: HookKind, role: Role, address: u64) -> Hook {
        let (address, offset) = (Vaddr(address), FileOffset(address));
        Hook {
            kind,
            role,
            name: String::new(),
            found: SymbolSource::Callers,
            address,
            offset,
            size: 0,
            site: Site {
                tier: Tier::Emulated,
                address,
                offset,
                instruction: Instruction::Push,
            },
            operands: Operands {
                object: Operand::at(Place::Register(5), 8),
                buffer: None,
                length: None,
                count: None,
                transports: [None; 2],
                result: None,
                sequence: None,
                pieces: None,
                guards: [None; 2],
            },
            proof: Proof::Interface,
            exits: None,
            returns_to: None,
        }
    }

    /// Reading by tap, exit and two return probes; writing by two return probes; a descriptor by exit and return probe,
    /// another by return probe alone; an end.
    fn hooks() -> Vec<Hook> {
        vec![
            hook(HookKind::Return, Role::Read, 1),
            hook(HookKind::Return, Role::Write, 2),
            hook(HookKind::Return, Role::Read, 3),
            hook(HookKind::Return, Role::Write, 4),
            hook(HookKind::Return, Role::Descriptor, 5),
            hook(HookKind::Return, Role::Descriptor, 6),
            hook(HookKind::Entry, Role::End, 7),
            hook(HookKind::Tap, Role::Read, 8),
            hook(HookKind::Exit, Role::Read, 1),
            hook(HookKind::Exit, Role::Descriptor, 5),
        ]
    }

    fn chosen(policy: Policy) -> Vec<(HookKind, u64)> {
        let hooks = hooks();
        among(&hooks, policy)
            .into_iter()
            .map(|hook| (hook.kind, hook.address.0))
            .collect()
    }

    const OTHERS: [(HookKind, u64); 3] = [(HookKind::Return, 6), (HookKind::Entry, 7), (HookKind::Exit, 5)];

    fn without_others(policy: Policy) -> Vec<(HookKind, u64)> {
        let chosen = chosen(policy);
        assert!(OTHERS.iter().all(|other| chosen.contains(other)), "{chosen:?}");
        chosen.into_iter().filter(|hook| !OTHERS.contains(hook)).collect()
    }

    #[test]
    fn each_direction_gets_its_cheapest_kind() {
        let expected = [(HookKind::Return, 2), (HookKind::Return, 4), (HookKind::Tap, 8)];
        assert_eq!(without_others(Policy::Auto), expected);
    }

    #[test]
    fn a_kind_that_is_forced_is_not_replaced() {
        assert_eq!(without_others(Policy::Tap), [(HookKind::Tap, 8)]);
        assert_eq!(without_others(Policy::Exit), [(HookKind::Exit, 1)]);
    }

    #[test]
    fn return_probes_that_are_forced_leave_all_cheaper_kinds_out() {
        let expected = [1, 2, 3, 4].map(|address| (HookKind::Return, address));
        assert_eq!(without_others(Policy::Return), expected);
    }
}
