//! Rules, and what they remember.

use super::{
    check::{Check, Head, Right, View, cut},
    condition::Condition,
    file,
    key::Request,
    mistake::Mistake,
    names::{NameTable, Names, Seen},
    windows::Windows,
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
}

impl Rules {
    /// Parses a policy in TOML.
    ///
    /// # Errors
    ///
    /// The first mistake in it, with its place.
    pub fn parse(policy: &str) -> Result<Self, Mistake> {
        file::parse(policy)
    }

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
    /// The name of the host among those of requests.
    pub(super) host: Names,
}

/// What a rule remembers.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) right: Right,
    pub(super) windows: Windows,
}

impl State {
    pub(super) fn take_forgotten(&mut self) -> u64 {
        self.windows.take_forgotten()
    }
}

impl Rule {
    /// Returns what the rule finds in an exchange.
    pub(super) fn judge(
        &self,
        rules: &Rules,
        exchange: &ExchangeLine<'_>,
        [request, response]: [&Seen; 2],
        state: &mut State,
        now_ns: u64,
    ) -> Option<EvidenceLine<'static>> {
        if self.check.counts() {
            let [table, _] = rules.names();
            let request = Request { table, seen: request };
            return self
                .condition
                .matches(exchange)
                .then(|| self.check.count(exchange, request, state, now_ns))?;
        }
        // Most rules find nothing, and that is quickly known; whether a rule is about an exchange may take longer.
        let view = self.view(rules, exchange, [request, response])?;
        let found = self.check.find(&view, state)?;
        self.condition.matches(exchange).then_some(found)
    }

    /// Returns the head that the rule is about.
    fn view<'v, 'l>(
        &self,
        rules: &'v Rules,
        exchange: &'v ExchangeLine<'l>,
        [of_request, of_response]: [&'v Seen; 2],
    ) -> Option<View<'v, 'l>> {
        let [in_requests, in_responses] = rules.names();
        let facts = exchange.facts.as_deref();
        match self.head {
            Head::Request => {
                let head = exchange.request.as_ref()?;
                Some(View {
                    head: self.head,
                    fields: &head.headers,
                    seen: of_request,
                    table: in_requests,
                    implied: if head.authority.is_some() { self.host } else { 0 },
                    complete: head.complete,
                    unknown: head.unknown.unwrap_or(0).into(),
                    malformed: head.malformed,
                    sizes: facts.and_then(|facts| facts.request),
                })
            }
            Head::Response => {
                let head = exchange.response.as_ref()?;
                Some(View {
                    head: self.head,
                    fields: &head.headers,
                    seen: of_response,
                    table: in_responses,
                    implied: 0,
                    complete: head.complete == Some(true),
                    unknown: head.unknown.unwrap_or(0).into(),
                    malformed: head.malformed,
                    sizes: facts.and_then(|facts| facts.response),
                })
            }
        }
    }

    /// Returns the alert about an exchange.
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
