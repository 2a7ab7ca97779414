//! Which rules may find something in an exchange, so that the others need not be asked.
//!
//! There is a plan for each side and protocol. Whether any rule of a kind finds something is one comparison of numbers that
//! the gate has found already ([`Seen`](crate::redact::Seen)), whatever the number of the rules.

use http_decode::{Protocol, Side};

use super::{check::Check, rule::Rule, view::View};
use crate::redact::{ExchangeLine, Names, PatternBits};

/// The number of a rule.
pub(super) type Number = usize;

/// The plans.
#[derive(Debug)]
pub(super) struct Plans(Vec<Plan>);

/// The rules that may be about exchanges of a side and a protocol.
#[derive(Debug, Default)]
struct Plan {
    side: &'static str,
    protocol: &'static str,
    heads: [HeadPlan; 2],
    /// Rules that count exchanges, and of those, the ones that count credentials.
    counting: Vec<Number>,
    counting_credentials: Vec<Number>,
}

/// The rules about a head, by what they find.
#[derive(Debug, Default)]
struct HeadPlan {
    required: Named,
    forbidden: Named,
    duplicates: Named,
    /// All patterns.
    patterns: PatternBits,
    with_patterns: Vec<(PatternBits, Number)>,
    malformed: Vec<Number>,
    other_server_name: Vec<Number>,
    /// Rules about sizes.
    sizes: Vec<Number>,
    /// The least number of fields that is not too many for a rule.
    fewest: Option<u64>,
    max_fields: Vec<Number>,
}

/// Rules with names.
#[derive(Debug, Default)]
struct Named {
    /// The names of all.
    all: Names,
    rules: Vec<(Names, Number)>,
}

impl Plans {
    /// Makes the plans for rules.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let pairs = Side::ALL
            .iter()
            .flat_map(|side| Protocol::ALL.iter().map(move |protocol| (side, protocol)));
        let plans = pairs.map(|(side, protocol)| Plan::new(rules, side.name(), protocol.name()));
        Self(plans.collect())
    }

    /// Returns the rules that may find something in an exchange, in their order. `room` is where they are put together.
    pub(super) fn select<'p>(
        &'p self,
        exchange: &ExchangeLine<'_>,
        views: &[View<'_, '_>; 2],
        room: &'p mut Vec<Number>,
    ) -> &'p [Number] {
        room.clear();
        let Some(plan) = self.plan(exchange) else {
            return room;
        };
        for (head, view) in plan.heads.iter().zip(views) {
            head.select(view, room);
        }
        let has_credentials = exchange
            .facts
            .as_ref()
            .is_some_and(|facts| !facts.credentials.is_empty());
        if has_credentials {
            room.extend_from_slice(&plan.counting_credentials);
        }
        if room.is_empty() {
            return &plan.counting;
        }
        room.extend_from_slice(&plan.counting);
        room.sort_unstable();
        room
    }
}

impl Plans {
    fn plan(&self, exchange: &ExchangeLine<'_>) -> Option<&Plan> {
        // Words are mostly the same ones in memory, which is quickly known.
        let is_same =
            |plan: &&Plan| std::ptr::eq(plan.side, exchange.side) && std::ptr::eq(plan.protocol, exchange.protocol);
        let is_equal = |plan: &&Plan| plan.side == exchange.side && plan.protocol == exchange.protocol;
        self.0.iter().find(is_same).or_else(|| self.0.iter().find(is_equal))
    }
}

impl Plan {
    fn new(rules: &[Rule], side: &'static str, protocol: &'static str) -> Self {
        let mut plan = Self {
            side,
            protocol,
            ..Self::default()
        };
        for (number, rule) in rules.iter().enumerate() {
            if rule.condition.may_match(side, protocol) {
                plan.add(number, rule);
            }
        }
        plan
    }

    fn add(&mut self, number: Number, rule: &Rule) {
        let head = rule.head.of_mut(&mut self.heads);
        match &rule.check {
            Check::Required(names) => head.required.add(names.all, number),
            Check::Forbidden(names) => head.forbidden.add(names.all, number),
            Check::Duplicates(names) => head.duplicates.add(names.all, number),
            Check::Matches(_, _, bit) | Check::MatchesNot(_, _, bit) => {
                head.patterns |= bit;
                head.with_patterns.push((*bit, number));
            }
            Check::Malformed => head.malformed.push(number),
            Check::OtherServerName => head.other_server_name.push(number),
            Check::MaxFieldBytes(_) | Check::MaxHeadBytes(_) => head.sizes.push(number),
            Check::MaxFields(most) => {
                head.fewest = Some(head.fewest.map_or(*most, |fewest| fewest.min(*most)));
                head.max_fields.push(number);
            }
            Check::Rate(_) | Check::Distinct(..) if rule.check.counts_credentials() => {
                self.counting_credentials.push(number);
            }
            Check::Rate(_) | Check::Distinct(..) => self.counting.push(number),
        }
    }
}

impl HeadPlan {
    fn select(&self, view: &View<'_, '_>, candidates: &mut Vec<Number>) {
        self.forbidden.select(view.seen.once, candidates);
        self.duplicates.select(view.seen.twice, candidates);
        if view.complete {
            self.required.select(!(view.seen.once | view.implied), candidates);
        }
        if self.patterns & view.seen.found != 0 {
            let found = self.with_patterns.iter().filter(|(bit, _)| bit & view.seen.found != 0);
            candidates.extend(found.map(|(_, number)| number));
        }
        if view.malformed.is_some() {
            candidates.extend_from_slice(&self.malformed);
        }
        if view.server_name.is_some() {
            candidates.extend_from_slice(&self.other_server_name);
        }
        if view.sizes.is_some() {
            candidates.extend_from_slice(&self.sizes);
        }
        if self.fewest.is_some_and(|fewest| view.count() > fewest) {
            candidates.extend_from_slice(&self.max_fields);
        }
    }
}

impl Named {
    fn add(&mut self, names: Names, number: Number) {
        self.all |= names;
        self.rules.push((names, number));
    }

    /// Adds the rules that have one of the names.
    #[inline]
    fn select(&self, names: Names, candidates: &mut Vec<Number>) {
        if self.all & names != 0 {
            let with_name = self.rules.iter().filter(|(all, _)| all & names != 0);
            candidates.extend(with_name.map(|(_, number)| number));
        }
    }
}
