//! The rules, ready for use: what of a value is secret, and the value without it.

use super::{Rules, fingerprint::Mask, rules::Extra, secrets::Secrets, url::Search, words::Word};

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
