//! A rule.

use super::{
    check::Check,
    condition::Condition,
    key::Counted,
    view::{View, cut},
    windows::Windows,
};
use crate::redact::{AlertLine, EvidenceLine, ExchangeLine, Head, Printable};

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
    /// Returns what the rule finds in an exchange of its side and protocol, whose heads are `views`, at `now_ns` of the
    /// records' clock.
    pub(super) fn judge(
        &self,
        counted: &mut Counted<'_, '_>,
        views: &[View<'_, '_>; 2],
        windows: &mut Windows,
        now_ns: u64,
    ) -> Option<Box<EvidenceLine<'static>>> {
        if !self.condition.matches(counted.exchange) {
            return None;
        }
        let found = if self.check.counts() {
            self.check.count(counted, windows, now_ns)
        } else {
            self.check.find(self.head.of(views))
        };
        found.map(Box::new)
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
