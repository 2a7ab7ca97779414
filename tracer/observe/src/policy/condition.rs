//! Which exchanges a rule is about.

use regex::Regex;

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
    pub(super) fn matches(&self, exchange: &ExchangeLine<'_>) -> bool {
        let Self {
            side,
            protocol,
            methods,
            hosts,
            path,
            status,
        } = self;
        let request = exchange.request.as_ref();
        let authority = || request.and_then(|request| request.authority.as_deref());
        side.is_none_or(|side| side == exchange.side)
            && protocol.is_none_or(|protocol| protocol == exchange.protocol)
            && status.as_ref().is_none_or(|wanted| {
                let status = exchange.response.as_ref().and_then(|response| response.status);
                status.is_some_and(|status| wanted.contains(status))
            })
            && (methods.is_empty() || {
                let method = request.and_then(|request| request.method.as_deref());
                method.is_some_and(|method| methods.iter().any(|wanted| wanted == method))
            })
            && (hosts.is_empty()
                || authority().is_some_and(|authority| {
                    let host = host(authority).as_bytes();
                    hosts.iter().any(|glob| glob.matches(host))
                }))
            && path.as_ref().is_none_or(|pattern| {
                let path = request.and_then(|request| request.path.as_deref());
                path.is_some_and(|path| pattern.is_match(path))
            })
    }
}
