//! Rules, and what they remember.

use regex::Regex;

use super::{
    check::{Check, Head, View, cut},
    condition::Condition,
    key::Request,
    names::{NameTable, Names},
    state::State,
};
use crate::redact::{AlertLine, EvidenceLine, ExchangeLine, Printable, WantedFacts};

/// The rules of a policy.
#[derive(Debug)]
pub struct Rules {
    pub(super) all: Vec<Rule>,
    /// The names in rules about requests, and about responses.
    pub(super) names: [NameTable; 2],
    /// Names of fields whose fingerprints rules need.
    pub(super) credentials: Vec<String>,
    /// The name of the host among those of requests, which `:authority` stands in for.
    pub(super) host: Names,
    /// The patterns of rules about all fields of requests, and of responses, in one.
    pub(super) all_fields: [Option<Regex>; 2],
}

impl Rules {
    pub(super) fn all(&self) -> &[Rule] {
        &self.all
    }

    pub(super) const fn names(&self) -> [&NameTable; 2] {
        let [request, response] = &self.names;
        [request, response]
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.all.iter().map(|_| State::default()).collect()
    }

    pub(super) fn wanted_facts(&self) -> WantedFacts {
        WantedFacts {
            sizes: self.all.iter().any(|rule| rule.check.needs_sizes()),
            credentials: self.credentials.clone(),
        }
    }
}

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) message: Option<String>,
    pub(super) severity: &'static str,
    pub(super) condition: Condition,
    pub(super) head: Head,
    pub(super) check: Check,
}

impl Rule {
    /// Returns what the rule finds in an exchange, whose heads are `views`, at `now_ns` of the records' clock.
    pub(super) fn judge(
        &self,
        exchange: &ExchangeLine<'_>,
        [request, response]: &[View<'_, '_>; 2],
        counted: Request<'_>,
        state: &mut State,
        now_ns: u64,
    ) -> Option<Box<EvidenceLine<'static>>> {
        if self.check.counts() {
            let is_about = self.condition.matches(exchange);
            return is_about
                .then(|| self.check.count(exchange, counted, state, now_ns))?
                .map(Box::new);
        }
        // Most rules find nothing, and that is quickly known; whether a rule is about an exchange may take longer.
        let view = match self.head {
            Head::Request => request,
            Head::Response => response,
        };
        let found = self.check.find(view, state)?;
        self.condition.matches(exchange).then(|| Box::new(found))
    }

    /// Returns the alert about an exchange.
    #[cold]
    pub(super) fn alert(&self, exchange: &ExchangeLine<'_>, evidence: EvidenceLine<'static>) -> AlertLine<'static> {
        let request = exchange.request.as_ref();
        let owned = |text: Option<&Printable<'_>>| text.map(cut);
        AlertLine {
            time: exchange.time,
            rule: self.name.clone().into(),
            severity: self.severity,
            message: self.message.clone().map(Into::into),
            id: exchange.id.clone().into(),
            pid: exchange.pid,
            process: exchange.process.to_static(),
            side: exchange.side,
            connection: exchange.connection.to_static(),
            method: owned(request.and_then(|request| request.method.as_ref())),
            authority: owned(request.and_then(|request| request.authority.as_ref())),
            path: owned(request.and_then(|request| request.path.as_ref())),
            status: exchange.response.as_ref().and_then(|response| response.status),
            request_id: owned(exchange.request_id.as_ref()),
            evidence,
            encoding: exchange.encoding,
        }
    }
}
