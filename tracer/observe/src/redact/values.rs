//! Prints values, each redacted by the rules for its kind.
//!
//! If a value is not UTF-8, every value of its line is printed byte for byte, each byte as the character with its number, so
//! that a reader can restore the bytes.

use std::time::{Duration, SystemTime};

use http_decode::{Field, Fields, Unredacted};

use super::{FieldLine, Redactor, field, members::Text, secrets::Secrets, words::Word};

/// Prints the values of one line.
pub(super) struct Composer<'a> {
    pub(super) redactor: &'a Redactor,
    /// Whether a value was not UTF-8, so that all are printed byte for byte.
    pub(super) latin1: bool,
}

impl Composer<'_> {
    pub(super) fn fields(&mut self, fields: &Fields) -> Vec<FieldLine> {
        fields.iter().map(|field| self.field(field)).collect()
    }

    pub(super) fn field(&mut self, field: Field<'_>) -> FieldLine {
        let Field {
            name,
            value,
            never_indexed: _,
        } = field;
        let value = value.map(|value| {
            let secrets = self.field_secrets(field);
            self.text(value.expose(), secrets)
        });
        (name.map(|name| self.word(Word::FieldName, name)), value)
    }

    /// Prints a word, or a mask if it may not be shown.
    pub(super) fn word(&mut self, word: Word, text: &str) -> Box<str> {
        let secrets = self.redactor.word_secrets(word, text.as_bytes());
        self.text(text.as_bytes(), secrets)
    }

    pub(super) fn authority(&mut self, bytes: &[u8], never_indexed: bool) -> Box<str> {
        let secrets = self.redactor.secrets(bytes, |search, secrets| {
            field::mark_authority(bytes, search, secrets);
            field::mark_never_indexed(bytes, never_indexed, search, secrets);
        });
        self.text(bytes, secrets)
    }

    /// Prints a value that belongs to no field and may contain a URL.
    pub(super) fn value(&mut self, bytes: &[u8]) -> Box<str> {
        let secrets = self
            .redactor
            .secrets(bytes, |search, secrets| search.mark(bytes, Text::Value, secrets));
        self.text(bytes, secrets)
    }

    pub(super) fn path(&mut self, path: &Unredacted, never_indexed: bool) -> Box<str> {
        let bytes = path.expose();
        let secrets = self.redactor.secrets(bytes, |search, secrets| {
            search.mark(bytes, Text::Path, secrets);
            field::mark_never_indexed(bytes, never_indexed, search, secrets);
        });
        self.text(bytes, secrets)
    }

    pub(super) fn field_secrets(&self, field: Field<'_>) -> Secrets {
        let Field {
            name,
            value,
            never_indexed,
        } = field;
        let bytes = value.map_or(&[][..], Unredacted::<&[u8]>::expose);
        // A value under a masked name is treated like one without a name.
        let name = name.filter(|name| self.redactor.word_secrets(Word::FieldName, name.as_bytes()).is_empty());
        self.redactor.secrets(bytes, |search, secrets| {
            field::mark(name, bytes, never_indexed, search, secrets);
        })
    }

    pub(super) fn text(&mut self, value: &[u8], secrets: Secrets) -> Box<str> {
        let masked = self.redactor.mask(value, secrets);
        if !self.latin1 {
            match String::from_utf8(masked) {
                Ok(text) => return text.into_boxed_str(),
                Err(not_utf8) => {
                    self.latin1 = true;
                    return not_utf8.into_bytes().into_iter().map(char::from).collect();
                }
            }
        }
        masked.into_iter().map(char::from).collect()
    }

    pub(super) fn encoding(&self) -> Option<&'static str> {
        self.latin1.then_some("latin1")
    }
}

/// Formats a time. A damaged tape can have one before 1970 or after 9999, which RFC 3339 cannot represent; it is clamped.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let latest = SystemTime::UNIX_EPOCH + LATEST;
    humantime::format_rfc3339_nanos(time.clamp(SystemTime::UNIX_EPOCH, latest)).to_string()
}

/// The last second of 9999.
const LATEST: Duration = Duration::from_secs(253_402_300_799);
