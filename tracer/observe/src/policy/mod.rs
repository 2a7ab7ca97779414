//! Policies: rules about exchanges, of which each match is an alert.
//!
//! A policy stands between the gate and the output. It sees redacted lines only, and what it asks of a masked value, its
//! length and whether it equals another one, the gate answers with numbers and keyed hashes ([`WantedFacts`]). It sees every
//! exchange, also those that filters leave out. What is unknown matches no rule.

mod mistake;
mod names;
mod condition;
mod key;
mod windows;
mod state;
mod check;
mod rule;
mod file;
mod args;
#[cfg(test)]
mod tests;

use std::{hash::RandomState, sync::Arc};

use regex::Regex;

use self::{
    check::{Head, View},
    key::{Request, client_hash},
    names::Seen,
    state::{Right, State},
};
use crate::redact::{AlertLine, ExchangeLine, FieldLine, Line, Redacted, WantedFacts};

pub use args::PolicyArgs;
pub use mistake::Mistake;
pub use rule::Rules;

/// Maximum values of all fields that are remembered as matching no pattern.
const MANY: usize = 1024;

/// Judges exchanges by rules.
#[derive(Debug)]
pub struct Policy {
    rules: Arc<Rules>,
    /// Of each rule.
    states: Vec<State>,
    request: Seen,
    response: Seen,
    /// Values that match no pattern about all fields.
    right: [Right; 2],
    hasher: RandomState,
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
            right: [Right::with_slots(MANY), Right::with_slots(MANY)],
            hasher: RandomState::new(),
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
        let [in_requests, in_responses] = &rules.all_fields;
        let [right_of_requests, right_of_responses] = &mut self.right;
        let request = exchange.request.as_ref().map_or(&[][..], |request| &request.headers);
        let response = exchange.response.as_ref().map_or(&[][..], |response| &response.headers);
        self.request.scan(of_request, request);
        self.response.scan(of_response, response);
        let may_match = |pattern: &Option<Regex>, fields: &[FieldLine<'_>], right: &mut Right| {
            let matches = |pattern: &Regex| {
                fields
                    .iter()
                    .any(|field| right.is_wrong(field, |value| pattern.is_match(value)))
            };
            pattern.as_ref().is_some_and(matches)
        };
        let views = views(
            &rules,
            exchange,
            [&self.request, &self.response],
            [
                may_match(in_requests, request, right_of_requests),
                may_match(in_responses, response, right_of_responses),
            ],
        );
        let counted = Request {
            table: of_request,
            seen: &self.request,
            hasher: &self.hasher,
            client: client_hash(exchange, &self.hasher),
        };
        for (rule, state) in rules.all().iter().zip(&mut self.states) {
            // An alert is large and rare: it is made in its place, and only then.
            if let Some(evidence) = rule.judge(exchange, &views, counted, state, now_ns) {
                alerts.push(rule.alert(exchange, *evidence));
            }
        }
    }
}

/// Returns the heads of an exchange, as rules see them. One that is absent has no fields, and is not complete.
fn views<'v, 'l>(
    rules: &'v Rules,
    exchange: &'v ExchangeLine<'l>,
    [of_request, of_response]: [&'v Seen; 2],
    [request_may_match, response_may_match]: [bool; 2],
) -> [View<'v, 'l>; 2] {
    let [in_requests, in_responses] = rules.names();
    let facts = exchange.facts.as_deref();
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    let has_authority = request.is_some_and(|head| head.authority.is_some());
    [
        View {
            head: Head::Request,
            fields: request.map_or(&[], |head| &head.headers),
            seen: of_request,
            table: in_requests,
            implied: if has_authority { rules.host } else { 0 },
            complete: request.is_some_and(|head| head.complete),
            unknown: request.and_then(|head| head.unknown).unwrap_or(0).into(),
            malformed: request.and_then(|head| head.malformed),
            sizes: facts.and_then(|facts| facts.request),
            may_match: request_may_match,
        },
        View {
            head: Head::Response,
            fields: response.map_or(&[], |head| &head.headers),
            seen: of_response,
            table: in_responses,
            implied: 0,
            complete: response.is_some_and(|head| head.complete == Some(true)),
            unknown: response.and_then(|head| head.unknown).unwrap_or(0).into(),
            malformed: response.and_then(|head| head.malformed),
            sizes: facts.and_then(|facts| facts.response),
            may_match: response_may_match,
        },
    ]
}
