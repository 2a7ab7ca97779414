//! Prints values, each redacted by the rules for its kind.
//!
//! If a value is not UTF-8, every value of its line is printed byte for byte, each byte as the character with its number, so
//! that a reader can restore the bytes.

use std::borrow::Cow;

use http_decode::{Field, Fields, Unredacted};

use super::{FieldLine, Printable, Redactor, field, members::Text, secrets::Secrets, words::Word};

/// Prints the values of one line.
pub(super) struct Composer<'a> {
    pub(super) redactor: &'a mut Redactor,
    /// Whether a value was not UTF-8, so that all are printed byte for byte.
    pub(super) latin1: bool,
}

impl Composer<'_> {
    pub(super) fn fields<'a>(&mut self, fields: &'a Fields) -> Vec<FieldLine<'a>> {
        fields.iter().map(|field| self.field(field)).collect()
    }

    pub(super) fn field<'a>(&mut self, field: Field<'a>) -> FieldLine<'a> {
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
    pub(super) fn word<'a>(&mut self, word: Word, text: &'a str) -> Printable<'a> {
        let secrets = self.redactor.word_secrets(word, text.as_bytes());
        self.text(text.as_bytes(), secrets)
    }

    pub(super) fn authority<'a>(&mut self, bytes: &'a [u8], never_indexed: bool) -> Printable<'a> {
        let secrets = self.redactor.secrets(bytes, |search, secrets| {
            field::mark_authority(bytes, search, secrets);
            field::mark_never_indexed(bytes, never_indexed, search, secrets);
        });
        self.text(bytes, secrets)
    }

    /// Prints a value that belongs to no field and may contain a URL.
    pub(super) fn value<'a>(&mut self, bytes: &'a [u8]) -> Printable<'a> {
        let secrets = self
            .redactor
            .secrets(bytes, |search, secrets| search.mark(bytes, Text::Value, secrets));
        self.text(bytes, secrets)
    }

    pub(super) fn path<'a>(&mut self, path: &'a Unredacted, never_indexed: bool) -> Printable<'a> {
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

    /// Prints a value, its secrets masked. One without secrets is not copied.
    pub(super) fn text<'a>(&mut self, value: &'a [u8], secrets: Secrets) -> Printable<'a> {
        if secrets.is_empty() {
            return match str::from_utf8(value) {
                Ok(text) if !self.latin1 || text.is_ascii() => Cow::Borrowed(text),
                Ok(_) | Err(_) => self.latin1(value),
            };
        }
        let masked = self.redactor.mask(value, secrets);
        match String::from_utf8(masked) {
            Ok(text) if !self.latin1 || text.is_ascii() => Cow::Owned(text),
            Ok(text) => self.latin1(text.as_bytes()),
            Err(not_utf8) => self.latin1(not_utf8.as_bytes()),
        }
    }

    fn latin1<'a>(&mut self, bytes: &[u8]) -> Printable<'a> {
        self.latin1 = true;
        Cow::Owned(bytes.iter().copied().map(char::from).collect())
    }

    pub(super) fn encoding(&self) -> Option<&'static str> {
        self.latin1.then_some("latin1")
    }
}
