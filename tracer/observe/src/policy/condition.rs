//! Which exchanges a rule is about.

use regex::bytes::Regex;

use crate::{
    filter::{Statuses, host},
    redact::{ExchangeLine, Glob},
};

/// Which exchanges a rule is about: those that match all that is given. What is unknown does not match.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) side: Option<&'static str>,
    pub(super) protocol: Option<&'static str>,
    pub(super) methods: Vec<String>,
    pub(super) hosts: Vec<Glob>,
    pub(super) path: Option<Regex>,
    pub(super) status: Option<Statuses>,
}

impl Condition {
    /// Returns whether exchanges of a side and a protocol may match.
    pub(super) fn may_match(&self, side: &str, protocol: &str) -> bool {
        self.side.is_none_or(|wanted| wanted == side) && self.protocol.is_none_or(|wanted| wanted == protocol)
    }

    /// Returns whether an exchange matches, whose side and protocol do.
    pub(super) fn matches(&self, exchange: &ExchangeLine<'_>) -> bool {
        let Self {
            side: _,
            protocol: _,
            methods,
            hosts,
            path,
            status,
        } = self;
        let request = exchange.request.as_ref();
        let authority = || request.and_then(|request| request.authority.as_deref());
        status.as_ref().is_none_or(|wanted| {
            let status = exchange.response.as_ref().and_then(|response| response.status);
            status.is_some_and(|status| wanted.contains(status))
        }) && (methods.is_empty() || {
            let method = request.and_then(|request| request.method.as_ref());
            method.is_some_and(|method| methods.iter().any(|wanted| wanted.as_bytes() == method.bytes()))
        }) && (hosts.is_empty()
            || authority().is_some_and(|authority| {
                let host = host(authority).as_bytes();
                hosts.iter().any(|glob| glob.matches(host))
            }))
            && path.as_ref().is_none_or(|pattern| {
                let path = request.and_then(|request| request.path.as_ref());
                path.is_some_and(|path| pattern.is_match(path.bytes()))
            })
    }
}
