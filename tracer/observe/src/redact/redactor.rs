//! Applies the rules to a value.

use super::{
    Rules, Time,
    clean::Clean,
    field::Rule,
    fingerprint::{FingerprintKey, Mask},
    rules::Extra,
    secrets::Secrets,
    sections::CleanSections,
    url::Search,
    wanted_facts::WantedFacts,
    words::Word,
};
use crate::ids::IdHeaders;

/// Finds and masks the secrets in values.
pub struct Redactor {
    extra: Extra,
    mask: Mask,
    /// Fingerprints of sessions.
    sessions: Option<FingerprintKey>,
    built_in: bool,
    /// Texts in which these rules find no secret.
    pub(super) clean: Clean,
    /// Sections of such texts.
    pub(super) sections: CleanSections,
    /// The last time that was printed, and its second.
    pub(super) last_time: Option<(u64, Time)>,
    pub(super) id_headers: IdHeaders,
    pub(super) wanted_facts: WantedFacts,
}

impl Redactor {
    /// Creates a redactor with these rules.
    pub fn new(rules: Rules) -> Self {
        let Rules {
            names,
            patterns,
            fingerprint,
            show,
        } = rules;
        Self {
            extra: Extra::new(names, patterns),
            // Sessions are credentials, so they are told apart by a key that nobody knows if there is no other.
            sessions: fingerprint.clone().or_else(|| FingerprintKey::random().ok()),
            mask: Mask::new(fingerprint),
            built_in: !show,
            clean: Clean::default(),
            sections: CleanSections::default(),
            last_time: None,
            id_headers: IdHeaders::default(),
            wanted_facts: WantedFacts::default(),
        }
    }

    /// Looks for the ids of requests in these headers.
    #[must_use]
    pub fn with_id_headers(self, id_headers: IdHeaders) -> Self {
        Self { id_headers, ..self }
    }

    /// Adds what the rules of a policy ask of masked values to the lines of exchanges.
    #[must_use]
    pub fn with_facts(self, wanted_facts: WantedFacts) -> Self {
        Self { wanted_facts, ..self }
    }

    /// Returns the headers in which the ids of requests are looked for.
    pub const fn id_headers(&self) -> &IdHeaders {
        &self.id_headers
    }

    /// Returns what `rule` and the user's patterns mark.
    pub(super) fn secrets(&self, value: &[u8], rule: impl FnOnce(Search<'_>, &mut Secrets)) -> Secrets {
        let mut secrets = Secrets::default();
        rule(self.search(), &mut secrets);
        self.extra.mark(value, &mut secrets);
        secrets
    }

    /// Returns the rule for the values of a field; see [`Rule::of`].
    pub(super) fn rule(&self, name: Option<&str>) -> Rule {
        Rule::of(name, self.search())
    }

    const fn search(&self) -> Search<'_> {
        Search {
            extra: &self.extra,
            built_in: self.built_in,
        }
    }

    /// Returns the whole word, unless it may be shown.
    pub(super) fn word_secrets(&self, word: Word, text: &[u8]) -> Secrets {
        let mut secrets = Secrets::default();
        if self.built_in && !word.is_shown(text) {
            secrets.mark(0..text.len());
        }
        secrets
    }

    /// Returns the fingerprint of a session id; `None` if there is no key.
    pub(super) fn session(&self, id: &[u8]) -> Option<String> {
        self.sessions.as_ref().map(|key| key.fingerprint(id))
    }

    /// Copies a value with its secrets masked.
    pub(super) fn mask(&self, value: &[u8], secrets: Secrets) -> Vec<u8> {
        secrets.masked(value, &self.mask)
    }
}
