//! Which kinds of hooks are used, where a plan has several for the same bytes.

use std::borrow::Cow;

use symbolizer::{Caller, ExitSite, GoroutinePlace, Hook, HookKind, Instruction, Policy, ProbePlan, choose};

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
    /// Whether no probe may be on a call: a process has a shadow stack.
    pub without_call_sites: bool,
    /// Whether goroutines are found that are in memory of their thread.
    pub thread_memory: ThreadMemory,
}

/// Says whether the programs find a thread's own memory, where Go up to 1.16 has the goroutine that runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ThreadMemory {
    /// They do.
    #[default]
    Found,
    /// The kernel does not describe where it keeps the memory's address: it has no BTF.
    Unknown,
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
    /// By default, calls are hooked beside a tap or a lift too: to check it, and for connections that refuse it. Those of
    /// goroutines are not: several may write to one connection at once, so that their numbers confirm nothing, and a tap
    /// of Go serves every connection.
    pub fn choose(self, plan: &ProbePlan) -> Vec<Chosen<'_>> {
        let cheapest = choose(plan, self.policy);
        let is_chosen = |hook: &Hook| cheapest.iter().any(|chosen| std::ptr::eq(*chosen, hook));
        let is_fallback = |hook: &Hook| {
            let is_cheaper =
                |other: &&Hook| matches!(other.kind, HookKind::Tap | HookKind::Lift) && other.role == hook.role;
            self.policy == Policy::Auto && cheapest.iter().any(is_cheaper)
        };
        let of_calls = choose(plan, Policy::Exit);
        let beside = |hook: &Hook| {
            is_fallback(hook) && !is_of_goroutines(hook) && of_calls.iter().any(|chosen| std::ptr::eq(*chosen, hook))
        };
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

    /// Returns a plan without the hooks that the kernel has no program for, or that may harm a process.
    pub fn usable(self, plan: &ProbePlan) -> Cow<'_, ProbePlan> {
        let is_usable = |hook: &Hook| {
            let has_no_program = self.without_lifts && hook.kind == HookKind::Lift;
            let may_harm = self.without_call_sites && is_on_call(hook);
            let has_no_goroutine = self.thread_memory == ThreadMemory::Unknown && goroutine_below(hook) != 0;
            !has_no_program && !may_harm && !has_no_goroutine
        };
        if plan.hooks.iter().all(is_usable) {
            return Cow::Borrowed(plan);
        }
        let mut plan = plan.clone();
        plan.hooks.retain(is_usable);
        Cow::Owned(plan)
    }

    fn allows(self, hook: &Hook) -> bool {
        match hook.kind {
            HookKind::Return => self.return_probes || self.policy == Policy::Return,
            HookKind::Entry | HookKind::Exit | HookKind::Tap | HookKind::Lift => true,
        }
    }
}

/// Returns whether a hook is at the calls of goroutines.
pub(super) fn is_of_goroutines(hook: &Hook) -> bool {
    let mut exits = hook.exits.iter();
    hook.kind == HookKind::Exit && exits.any(|exits| matches!(exits.caller, Caller::Goroutine(_)))
}

/// Returns how many bytes below the base of the thread's `fs` the goroutine is whose calls a hook is at; 0 if it is in a register.
pub(super) fn goroutine_below(hook: &Hook) -> u8 {
    match hook.exits.as_ref().map(|exits| exits.caller) {
        Some(Caller::Goroutine(GoroutinePlace::BelowThread(bytes))) => bytes,
        Some(Caller::Goroutine(GoroutinePlace::Register) | Caller::Thread) | None => 0,
    }
}

/// Returns whether a probe of a hook is on a call.
pub(super) fn is_on_call(hook: &Hook) -> bool {
    let is_call = |site: &symbolizer::Site| site.instruction == Instruction::Call;
    let mut exits = hook.exits.iter().flat_map(|exits| &exits.sites);
    // The site of a lift has no probe.
    hook.kind != HookKind::Lift && (is_call(&hook.site) || exits.any(|ExitSite { site, .. }| is_call(site)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_call_sites_a_tap_on_a_call_is_replaced_by_the_ends_of_calls() {
        let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let image = std::fs::read(format!("{folder}/libssl.so.3")).unwrap();
        let plan = symbolizer::plan(&image, None).unwrap().plans.remove(0);
        assert!(
            Kinds::default()
                .choose(&plan)
                .iter()
                .any(|chosen| is_on_call(chosen.hook))
        );
        let kinds = Kinds {
            without_call_sites: true,
            ..Kinds::default()
        };
        let usable = kinds.usable(&plan);
        let chosen = kinds.choose(&usable);
        assert!(!chosen.iter().any(|chosen| is_on_call(chosen.hook)));
        let mut reads = chosen
            .iter()
            .filter(|chosen| chosen.hook.role == symbolizer::Role::Read);
        assert!(reads.any(|read| read.hook.kind == HookKind::Exit && !read.is_fallback));
    }

    #[test]
    fn without_memory_of_threads_calls_of_goroutines_that_are_there_have_no_hooks() {
        let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let image = std::fs::read(format!("{folder}/libssl.so.3")).unwrap();
        let mut plan = symbolizer::plan(&image, None).unwrap().plans.remove(0);
        let exits = plan.hooks.iter_mut().filter_map(|hook| hook.exits.as_mut());
        exits.for_each(|exits| exits.caller = Caller::Goroutine(GoroutinePlace::BelowThread(8)));
        let has_exits = |thread_memory| {
            let kinds = Kinds {
                thread_memory,
                ..Kinds::default()
            };
            kinds.usable(&plan).hooks.iter().any(|hook| hook.exits.is_some())
        };
        assert!(has_exits(ThreadMemory::Found));
        assert!(!has_exits(ThreadMemory::Unknown));
    }
}
