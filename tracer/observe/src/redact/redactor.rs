//! Applies the rules to a value.

use super::{
    Head, Names, Rules, Seen, Time,
    clean::Clean,
    field::Rule,
    fingerprint::{FingerprintKey, Mask},
    masked::Masked,
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
    /// Masked fields.
    pub(super) masked: Masked,
    /// The last time that was printed, and its second.
    pub(super) last_time: Option<(u64, Time)>,
    pub(super) id_headers: IdHeaders,
    pub(super) wanted_facts: WantedFacts,
    /// Whether lines have the fields of heads and trailers.
    pub(super) has_fields: bool,
    /// The names of the credentials that are wanted, if they are printed as they are sent, and so are seen in the fields of
    /// requests.
    pub(super) credential_names: Option<Names>,
    /// What rules find in the fields of the request and the response that were printed last.
    pub(super) seen: [Seen; 2],
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
            masked: Masked::default(),
            last_time: None,
            id_headers: IdHeaders::default(),
            wanted_facts: WantedFacts::default(),
            has_fields: true,
            credential_names: None,
            seen: <[Seen; 2]>::default(),
        }
    }

    /// Looks for the ids of requests in these headers.
    #[must_use]
    pub fn with_id_headers(self, id_headers: IdHeaders) -> Self {
        Self { id_headers, ..self }
    }

    /// Adds what the rules of a policy ask to the lines of exchanges.
    #[must_use]
    pub fn with_facts(self, wanted_facts: WantedFacts) -> Self {
        let is_shown = |name: &String| self.word_secrets(Word::FieldName, name.as_bytes()).is_empty();
        let mut credentials = wanted_facts.credentials.iter().map(|name| {
            let index = wanted_facts.index(Head::Request).filter(|_| is_shown(name))?;
            Some(index.bit_of(name)).filter(|bit| *bit != 0)
        });
        Self {
            credential_names: credentials.try_fold(0, |all, bit| Some(all | bit?)),
            wanted_facts,
            // The answers to other questions are remembered with them.
            clean: Clean::default(),
            sections: CleanSections::default(),
            masked: Masked::default(),
            ..self
        }
    }

    /// Leaves the fields of heads and trailers out of lines, and the differences between them, unless they are wanted.
    #[must_use]
    pub fn with_fields(self, has_fields: bool) -> Self {
        Self { has_fields, ..self }
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
