//! The rules of a policy.

use std::sync::Arc;

use super::{check::Check, plan::Plans, rule::Rule, view::View, windows::Windows};
use crate::redact::{ExchangeLine, FieldIndex, Head, HeadFacts, Names, WantedFacts};

/// The rules of a policy.
#[derive(Debug)]
pub struct Rules {
    pub(super) all: Vec<Rule>,
    /// Which of them may find something in an exchange.
    pub(super) plans: Plans,
    /// What rules about requests, and about responses, ask of fields.
    pub(super) fields: [Arc<FieldIndex>; 2],
    /// Names of fields whose fingerprints rules need.
    pub(super) credentials: Vec<String>,
    /// The name of the host among those of requests, which `:authority` stands in for.
    pub(super) host: Names,
}

impl Rules {
    /// Returns the windows of each rule.
    pub(super) fn windows(&self) -> Vec<Windows> {
        self.all.iter().map(|_| Windows::default()).collect()
    }

    pub(super) fn wanted_facts(&self) -> WantedFacts {
        let least_size = |head| {
            let about_head = self.all.iter().filter(|rule| rule.head == head);
            about_head.filter_map(|rule| rule.check.least_size()).min()
        };
        WantedFacts {
            fields: Some(self.fields.clone()),
            sizes: [Head::Request, Head::Response].map(least_size),
            credentials: self.credentials.clone(),
            server_name: self.needs_server_names(),
        }
    }

    /// Returns whether a rule is about the server names of handshakes.
    pub(super) fn needs_server_names(&self) -> bool {
        self.all.iter().any(|rule| matches!(rule.check, Check::OtherServerName))
    }
}

impl Rules {
    /// Returns the heads of an exchange, as rules see them. One that is absent has no fields, and is not complete.
    pub(super) fn views<'v, 'l>(
        &'v self,
        exchange: &'v ExchangeLine<'l>,
        [of_request, of_response]: [&'v HeadFacts; 2],
    ) -> [View<'v, 'l>; 2] {
        let [in_requests, in_responses] = &self.fields;
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        let has_authority = request.is_some_and(|head| head.authority.is_some());
        [
            View {
                head: Head::Request,
                fields: request.map_or(&[], |head| &head.headers),
                seen: &of_request.seen,
                index: in_requests,
                implied: if has_authority { self.host } else { 0 },
                complete: request.is_some_and(|head| head.complete),
                unknown: request.and_then(|head| head.unknown).unwrap_or(0).into(),
                malformed: request.and_then(|head| head.malformed),
                sizes: of_request.sizes,
                server_name: exchange.facts.as_ref().and_then(|facts| facts.server_name.as_ref()),
            },
            View {
                head: Head::Response,
                fields: response.map_or(&[], |head| &head.headers),
                seen: &of_response.seen,
                index: in_responses,
                implied: 0,
                complete: response.is_some_and(|head| head.complete == Some(true)),
                unknown: response.and_then(|head| head.unknown).unwrap_or(0).into(),
                malformed: response.and_then(|head| head.malformed),
                sizes: of_response.sizes,
                server_name: None,
            },
        ]
    }

    /// Finds what a gate that was not asked has not found, as far as it can be known from the line.
    pub(super) fn find_facts(&self, exchange: &ExchangeLine<'_>) -> [HeadFacts; 2] {
        let [in_requests, in_responses] = &self.fields;
        let request = exchange.request.as_ref().map(|head| in_requests.seen(&head.headers));
        let response = exchange.response.as_ref().map(|head| in_responses.seen(&head.headers));
        [request, response].map(|seen| HeadFacts {
            seen: seen.unwrap_or_default(),
            sizes: None,
        })
    }
}
