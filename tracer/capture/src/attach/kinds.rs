//! Which kinds of hooks are used, where a plan has several for the same bytes.

use std::borrow::Cow;

use symbolizer::{Hook, HookKind, Policy, ProbePlan, choose};

/// The kinds of hooks that may be used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Kinds {
    /// Which kinds carry plaintext.
    pub policy: Policy,
    /// Whether return probes may be used where no other kind is proven. They kill a program that switches stacks within
    /// a call.
    pub return_probes: bool,
    /// Whether the kernel refused the program that lifts need.
    pub without_lifts: bool,
}

/// A hook that is used.
pub struct Chosen<'a> {
    /// The hook.
    pub hook: &'a Hook,
    /// Whether a tap or a lift captures the same bytes of most connections.
    pub is_fallback: bool,
}

impl Kinds {
    /// Chooses the hooks of a plan, in its order.
    ///
    /// By default, calls are hooked beside a tap or a lift too: to check it, and for connections that refuse it.
    pub fn choose(self, plan: &ProbePlan) -> Vec<Chosen<'_>> {
        let cheapest = choose(plan, self.policy);
        let is_chosen = |hook: &Hook| cheapest.iter().any(|chosen| std::ptr::eq(*chosen, hook));
        let is_fallback = |hook: &Hook| {
            let is_cheaper =
                |other: &&Hook| matches!(other.kind, HookKind::Tap | HookKind::Lift) && other.role == hook.role;
            self.policy == Policy::Auto && cheapest.iter().any(is_cheaper)
        };
        let of_calls = choose(plan, Policy::Exit);
        let beside = |hook: &Hook| is_fallback(hook) && of_calls.iter().any(|chosen| std::ptr::eq(*chosen, hook));
        let chosen = plan.hooks.iter().filter_map(|hook| {
            let is_beside = !is_chosen(hook) && beside(hook);
            let is_used = is_chosen(hook) || is_beside;
            (is_used && self.allows(hook)).then_some(Chosen {
                hook,
                is_fallback: is_beside,
            })
        });
        chosen.collect()
    }

    /// Returns a plan without the hooks that the kernel has no program for.
    pub(super) fn usable(self, plan: &ProbePlan) -> Cow<'_, ProbePlan> {
        if !self.without_lifts || !plan.hooks.iter().any(|hook| hook.kind == HookKind::Lift) {
            return Cow::Borrowed(plan);
        }
        let mut plan = plan.clone();
        plan.hooks.retain(|hook| hook.kind != HookKind::Lift);
        Cow::Owned(plan)
    }

    fn allows(self, hook: &Hook) -> bool {
        match hook.kind {
            HookKind::Return => self.return_probes || self.policy == Policy::Return,
            HookKind::Entry | HookKind::Exit | HookKind::Tap | HookKind::Lift => true,
        }
    }
}
