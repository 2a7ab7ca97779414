//! Policies: rules about exchanges, of which each match is an alert.
//!
//! A policy stands between the gate and the output. It sees redacted lines only, and what it asks of a masked value, its
//! length and whether it equals another one, the gate answers with numbers and keyed hashes ([`WantedFacts`]). It sees every
//! exchange, also those that filters leave out. What is unknown matches no rule.

mod mistake;
mod condition;
mod windows;
mod view;
mod key;
mod check;
mod rule;
mod plan;
mod rules;
mod file;
mod args;
#[cfg(test)]
mod tests;

use std::{cell::OnceCell, sync::Arc};

use self::{
    key::{Counted, Hashes},
    windows::Windows,
};
use crate::redact::{AlertLine, ExchangeLine, Line, Redacted, WantedFacts};

pub use args::PolicyArgs;
pub use mistake::Mistake;
pub use rules::Rules;

/// Judges exchanges by rules.
#[derive(Debug)]
pub struct Policy {
    rules: Arc<Rules>,
    /// Of each rule.
    windows: Vec<Windows>,
    hashes: Hashes,
    /// Room for the numbers of the rules that may find something in an exchange.
    candidates: Vec<usize>,
    alerts: u64,
}

impl Policy {
    /// Creates a policy with these rules, which has seen nothing yet.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            windows: rules.windows(),
            hashes: Hashes::new(),
            candidates: Vec::new(),
            alerts: 0,
            rules,
        }
    }

    /// Returns what the rules ask the gate of each exchange.
    pub fn wanted_facts(&self) -> WantedFacts {
        self.rules.wanted_facts()
    }

    /// Returns the alerts about the exchanges of a line, at `now_ns` of the records' clock.
    pub fn judge(&mut self, line: &Redacted<Line<'_>>, now_ns: u64) -> Vec<Redacted<Line<'static>>> {
        line.alerts(|line| {
            let mut alerts = Vec::new();
            match line {
                Line::Exchange(exchange) => self.judge_exchange(exchange, now_ns, &mut alerts),
                Line::Hop(hop) => hop
                    .exchanges()
                    .for_each(|exchange| self.judge_exchange(exchange, now_ns, &mut alerts)),
                Line::End(_)
                | Line::Loss(_)
                | Line::Connection(_)
                | Line::Health(_)
                | Line::Hooks(_)
                | Line::Alert(_)
                | Line::Audit(_) => {}
            }
            self.alerts += alerts.len() as u64;
            alerts
        })
    }

    /// Returns the number of alerts so far.
    pub const fn alerts(&self) -> u64 {
        self.alerts
    }

    /// Returns how many keys were forgotten since the last call, because too many were counted at once: what they had done is
    /// not counted.
    pub fn take_forgotten(&mut self) -> u64 {
        self.windows.iter_mut().map(Windows::take_forgotten).sum()
    }

    fn judge_exchange(&mut self, exchange: &ExchangeLine<'_>, now_ns: u64, alerts: &mut Vec<AlertLine<'static>>) {
        let Self {
            rules,
            windows,
            hashes,
            candidates,
            alerts: _,
        } = self;
        let found;
        let facts = if let Some(facts) = &exchange.facts {
            [&facts.request, &facts.response]
        } else {
            found = rules.find_facts(exchange);
            let [request, response] = &found;
            [request, response]
        };
        let views = rules.views(exchange, facts);
        let candidates = rules.plans.select(exchange, &views, candidates);
        let [request, _] = &views;
        let mut counted = Counted {
            exchange,
            request,
            hashes,
            client: OnceCell::new(),
        };
        for number in candidates.iter().copied() {
            let Some((rule, windows)) = rules.all.get(number).zip(windows.get_mut(number)) else {
                continue;
            };
            // An alert is large and rare: it is made in its place, and only then.
            if let Some(evidence) = rule.judge(&mut counted, &views, windows, now_ns) {
                alerts.push(rule.alert(exchange, *evidence));
            }
        }
    }
}
