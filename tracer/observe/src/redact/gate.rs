//! [`Redacted`], whose only constructor is private to this file.

use std::ops::Deref;

use super::{AlertLine, Line, Redactor, Rules, compose};
use crate::{
    audit::{Audit, AuditEnd},
    correlate::{HooksRefused, Observed},
    health::Health,
    join::Hop,
};

/// Proof that a value was redacted: only a [`Redactor`] can create one.
///
/// ```compile_fail,E0423
/// use tracer_observe::redact::Redacted;
/// let forged = Redacted("hunter2");
/// ```
///
/// ```compile_fail,E0624
/// use tracer_observe::redact::Redacted;
/// let forged = Redacted::new("hunter2");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Redacted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Redacted<Line<'_>> {
    /// Returns the lines of alerts about exchanges of this line. `judge` sees nothing else of what was observed, so nothing
    /// unredacted can be in them.
    pub(crate) fn alerts(
        &self,
        judge: impl FnOnce(&Line<'_>) -> Vec<AlertLine<'static>>,
    ) -> Vec<Redacted<Line<'static>>> {
        let alerts = judge(&self.0);
        if alerts.is_empty() {
            return Vec::new();
        }
        alerts
            .into_iter()
            .map(|alert| Redacted::new(Line::Alert(Box::new(alert))))
            .collect()
    }
}

impl Redacted<Line<'static>> {
    /// Returns the line of the end of a trace; `None` if this one is not that of its start.
    pub fn ended(&self, end: &AuditEnd) -> Option<Self> {
        compose::audit_end(&self.0, end).map(Self::new)
    }
}

impl Redactor {
    /// Converts an observation to a line, with its secrets masked.
    pub fn redact<'a>(&mut self, observed: &'a Observed) -> Redacted<Line<'a>> {
        Redacted::new(compose::line(self, observed))
    }

    /// Converts a hop to a line, with the secrets of both sides masked. Returns `None` for a hop without an exchange, of which
    /// there is none.
    pub fn redact_hop<'a>(&mut self, hop: &'a Hop) -> Option<Redacted<Line<'a>>> {
        compose::hop(self, hop).map(Redacted::new)
    }

    /// Converts a health report to a line. It has no secrets, because nothing in it comes from a traced process.
    pub fn health(&self, health: &Health) -> Redacted<Line<'static>> {
        Redacted::new(compose::health(health))
    }

    /// Converts the start of a trace to a line, with its secrets masked by these rules and by the built-in ones, which
    /// [`Rules::show`] does not turn off here.
    pub fn audit(rules: Rules, audit: &Audit) -> Redacted<Line<'static>> {
        let mut redactor = Self::new(Rules { show: false, ..rules });
        Redacted::new(compose::audit(&mut redactor, audit))
    }

    /// Converts a report that hooks do not serve a process to a line. The name of the process and the path of its library
    /// are all of it that others than the kernel choose; neither is masked, as in the lines of connections.
    pub fn hooks<'a>(&self, refused: &'a HooksRefused) -> Redacted<Line<'a>> {
        Redacted::new(compose::hooks(refused))
    }
}
