//! The gate itself.
//!
//! In: [`Observed`]. Out: [`Redacted`]. Refuses everyone else who would make one.

use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::{Line, Rules, compose, fingerprint::Mask, rules::Extra, secrets::Secrets, url::Search, words::Word};
use crate::{correlate::Observed, health::Health};

/// Proof that a value went through a [`Redactor`], which alone can make one.
///
/// ```compile_fail,E0423
/// use tracer::redact::Redacted;
/// let forged = Redacted("hunter2");
/// ```
///
/// ```compile_fail,E0624
/// use tracer::redact::Redacted;
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

impl<T: Serialize> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The rules, ready for use.
pub struct Redactor {
    extra: Extra,
    mask: Mask,
    built_in: bool,
}

impl Redactor {
    /// Takes the rules.
    pub fn new(rules: Rules) -> Self {
        let Rules {
            names,
            patterns,
            fingerprint,
            show,
        } = rules;
        Self {
            extra: Extra::new(names, patterns),
            mask: Mask::new(fingerprint),
            built_in: !show,
        }
    }

    /// Makes the line that may be printed of what was observed.
    pub fn redact(&self, observed: &Observed) -> Redacted<Line> {
        Redacted::new(compose::line(self, observed))
    }

    /// Makes the line of something about the tracing itself: nothing in it comes from a traced process.
    pub fn health(&self, health: &Health) -> Redacted<Line> {
        Redacted::new(compose::health(health))
    }

    /// Marks with `rule` and with the user's patterns.
    pub(super) fn secrets(&self, value: &[u8], rule: impl FnOnce(Search<'_>, &mut Secrets)) -> Secrets {
        let mut secrets = Secrets::default();
        rule(
            Search {
                extra: &self.extra,
                built_in: self.built_in,
            },
            &mut secrets,
        );
        self.extra.mark(value, &mut secrets);
        secrets
    }

    /// Marks a word whole unless it may be shown.
    pub(super) fn word_secrets(&self, word: Word, text: &[u8]) -> Secrets {
        let mut secrets = Secrets::default();
        if self.built_in && !word.is_shown(text) {
            secrets.mark(0..text.len());
        }
        secrets
    }

    /// Copies a value without its secrets.
    pub(super) fn mask(&self, value: &[u8], secrets: Secrets) -> Vec<u8> {
        secrets.masked(value, &self.mask)
    }
}
