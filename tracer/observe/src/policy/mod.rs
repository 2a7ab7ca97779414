//! Policies: rules about exchanges, of which each match is an alert.
//!
//! A policy stands between the gate and the output. It sees redacted lines only, and what it asks of a masked value, its
//! length and whether it equals another one, the gate answers with numbers and keyed hashes ([`WantedFacts`]). It sees every
//! exchange, also those that filters leave out. What is unknown matches no rule.

mod mistake;
mod file;
mod names;
mod condition;
mod check;
mod key;
mod windows;
mod rule;
mod args;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::{names::Seen, rule::State};
use crate::redact::{AlertLine, ExchangeLine, Line, Redacted, WantedFacts};

pub use args::PolicyArgs;
pub use mistake::Mistake;
pub use rule::Rules;

/// Judges exchanges by rules.
#[derive(Debug)]
pub struct Policy {
    rules: Arc<Rules>,
    /// Of each rule.
    states: Vec<State>,
    request: Seen,
    response: Seen,
    alerts: u64,
}

impl Policy {
    /// Creates a policy with these rules, which has seen nothing yet.
    pub fn new(rules: Arc<Rules>) -> Self {
        let [request, response] = rules.names().map(Seen::new);
        Self {
            states: rules.states(),
            request,
            response,
            alerts: 0,
            rules,
        }
    }

    /// Returns what the rules ask of masked values.
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
                | Line::Alert(_) => {}
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
        self.states.iter_mut().map(State::take_forgotten).sum()
    }

    fn judge_exchange(&mut self, exchange: &ExchangeLine<'_>, now_ns: u64, alerts: &mut Vec<AlertLine<'static>>) {
        let rules = Arc::clone(&self.rules);
        let [of_request, of_response] = rules.names();
        let request = exchange.request.as_ref().map(|request| &*request.headers);
        let response = exchange.response.as_ref().map(|response| &*response.headers);
        self.request.scan(of_request, request.unwrap_or_default());
        self.response.scan(of_response, response.unwrap_or_default());
        for (rule, state) in rules.all().iter().zip(&mut self.states) {
            let found = rule.judge(&rules, exchange, [&self.request, &self.response], state, now_ns);
            alerts.extend(found.map(|evidence| rule.alert(exchange, evidence)));
        }
    }
}
