//! Prints values, each redacted by the rules for its kind.
//!
//! If a value is not UTF-8, every value of its line is printed byte for byte, each byte as the character with its number, so
//! that a reader can restore the bytes.

use std::borrow::Cow;

use http_decode::{Field, Fields, RawField, Unredacted};

use super::{
    FieldLine, Printable, Redactor,
    clean::{Content, Searched},
    field::{self, Rule},
    field_index::{FieldClass, Head, Seen},
    members::Text,
    secrets::Secrets,
    words::Word,
};

/// Prints the values of one line.
pub(super) struct Composer<'a> {
    pub(super) redactor: &'a mut Redactor,
    /// Whether a value was not UTF-8, so that all are printed byte for byte.
    pub(super) latin1: bool,
}

impl Composer<'_> {
    pub(super) fn fields<'a>(&mut self, fields: &'a Fields) -> Vec<FieldLine<'a>> {
        self.print(fields, None).0
    }

    /// Prints the fields of a head, and takes note of what the rules of a policy find in them.
    pub(super) fn head_fields<'a>(&mut self, head: Head, fields: &'a Fields) -> Vec<FieldLine<'a>> {
        let is_asked = self.redactor.wanted_facts.fields.is_some();
        let (lines, seen) = self.print(fields, Some(head).filter(|_| is_asked));
        *head.of_mut(&mut self.redactor.seen) = seen;
        lines
    }

    /// Prints fields, and finds what the rules of a policy find in them, if they are those of a head that rules ask about.
    fn print<'a>(&mut self, fields: &'a Fields, head: Option<Head>) -> (Vec<FieldLine<'a>>, Seen) {
        if !self.redactor.has_fields {
            return (Vec::new(), Seen::default());
        }
        if self.redactor.sections.contains(fields) {
            let lines: Vec<_> = fields.raw().map(plain_field).collect();
            let seen = head.map(|head| self.seen_in_section(fields, head, &lines));
            return (lines, seen.unwrap_or_default());
        }
        let mut plain = 0;
        let mut seen = Seen::default();
        let print = |(at, field)| {
            let (content, class) = self.find(field, head);
            if content == Some(Content::Plain) && !class.is_unknown() {
                plain += 1;
                seen.add(at, class);
                return plain_field(field);
            }
            plain += usize::from(content == Some(Content::Plain));
            let (line, class) = self.print_other(field, content, class, head);
            seen.add(at, class);
            line
        };
        let lines = fields.raw().enumerate().map(print).collect();
        if plain > 0 && plain == fields.len() {
            self.redactor.sections.add(fields);
        }
        (lines, seen)
    }

    fn seen_in_section(&mut self, fields: &Fields, head: Head, lines: &[FieldLine<'_>]) -> Seen {
        let index = self.redactor.wanted_facts.index(head);
        let find = || index.map(|index| index.seen(lines)).unwrap_or_default();
        let known = self.redactor.sections.seen(fields, head);
        known.map_or_else(find, |known| *known.get_or_insert_with(find))
    }

    /// Returns what is known of a field that was found to be without secrets, and what rules find in it if they ask about its
    /// head.
    #[inline]
    fn find(&mut self, field: RawField<'_>, head: Option<Head>) -> (Option<Content>, FieldClass) {
        let RawField {
            name: Some(name),
            value: Some(value),
            never_indexed: false,
        } = field
        else {
            return (None, FieldClass::default());
        };
        let (name, value) = (name, value.expose());
        let Some(head) = head else {
            return (self.redactor.clean.find_field(name, value), FieldClass::default());
        };
        match self.redactor.clean.find_field_of(head, name, value) {
            Some((content, class)) => (Some(content), class),
            None => (None, FieldClass::UNKNOWN),
        }
    }

    /// Returns what the rules of a policy find in a masked field.
    fn masked_class(&mut self, head: Head, line: &FieldLine<'_>) -> FieldClass {
        if let Some(class) = self.redactor.masked.find(head, line) {
            return class;
        }
        let class = self.find_class(head, line);
        self.redactor.masked.add(head, line, class);
        class
    }

    #[inline(never)]
    fn find_class(&self, head: Head, line: &FieldLine<'_>) -> FieldClass {
        let index = self.redactor.wanted_facts.index(head);
        index.map(|index| index.class(line)).unwrap_or_default()
    }

    /// Prints a field that was not found to be plain, or of which it is not known what rules find in it.
    #[inline(never)]
    fn print_other<'a>(
        &mut self,
        field: RawField<'a>,
        content: Option<Content>,
        known: FieldClass,
        head: Option<Head>,
    ) -> (FieldLine<'a>, FieldClass) {
        let line = self.other_field(field, content);
        let Some(head) = head else {
            return (line, FieldClass::default());
        };
        let is_as_sent = content == Some(Content::Plain) || (content == Some(Content::Utf8) && !self.latin1);
        if is_as_sent && !known.is_unknown() {
            return (line, known);
        }
        if line.1.as_ref().is_some_and(Printable::is_copy) {
            let class = self.masked_class(head, &line);
            return (line, class);
        }
        let class = self.find_class(head, &line);
        if is_as_sent {
            self.redactor.clean.set_class_of_last(head, class);
        }
        (line, class)
    }

    fn other_field<'a>(&mut self, field: RawField<'a>, content: Option<Content>) -> FieldLine<'a> {
        let RawField {
            name: Some(name),
            value: Some(value),
            never_indexed: false,
        } = field
        else {
            return self.field(field.field());
        };
        let value = value.expose();
        match content {
            Some(Content::Plain) => plain_field(field),
            Some(Content::Utf8) if !self.latin1 => (Some(Printable::plain(name)), Some(Printable::utf8(value))),
            Some(Content::Utf8 | Content::Other) => {
                let name = self.text(name, Secrets::default());
                (Some(name), Some(self.text(value, Secrets::default())))
            }
            Some(Content::Name(_)) | None => {
                let field = field.field();
                let secrets = self.search_and_remember(field);
                self.shown_field(field, secrets)
            }
        }
    }

    pub(super) fn field<'a>(&mut self, field: Field<'a>) -> FieldLine<'a> {
        let secrets = self.field_secrets(field);
        self.shown_field(field, secrets)
    }

    fn shown_field<'a>(&mut self, field: Field<'a>, secrets: [Secrets; 2]) -> FieldLine<'a> {
        let [of_name, of_value] = secrets;
        let Field {
            name,
            value,
            never_indexed: _,
        } = field;
        let value = value.map(|value| self.text(value.expose(), of_value));
        (name.map(|name| self.text(name.as_bytes(), of_name)), value)
    }

    /// Prints the name of a field.
    pub(super) fn field_name<'a>(&mut self, name: &'a str) -> Printable<'a> {
        let (secrets, _) = self.search_name(name);
        self.text(name.as_bytes(), secrets)
    }

    /// Prints a word, or a mask if it may not be shown.
    pub(super) fn word<'a>(&mut self, word: Word, text: &'a str) -> Printable<'a> {
        if word.is_common(text) {
            return Printable::plain(text.as_bytes());
        }
        let secrets = self.redactor.word_secrets(word, text.as_bytes());
        self.text(text.as_bytes(), secrets)
    }

    pub(super) fn authority<'a>(&mut self, bytes: &'a [u8], never_indexed: bool) -> Printable<'a> {
        let searched = Some(Searched::Authority(bytes)).filter(|_| !never_indexed);
        match searched.and_then(|searched| self.redactor.clean.find(searched)) {
            Some(Content::Plain) => return Printable::plain(bytes),
            Some(Content::Utf8 | Content::Other | Content::Name(_)) => return self.text(bytes, Secrets::default()),
            None => {}
        }
        let secrets = self.redactor.secrets(bytes, |search, secrets| {
            field::mark_authority(bytes, search, secrets);
            field::mark_never_indexed(bytes, never_indexed, search, secrets);
        });
        if let Some(searched) = searched.filter(|_| secrets.is_empty()) {
            self.redactor.clean.add(searched);
        }
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

    /// Returns the secrets in the name and in the value of a field.
    pub(super) fn field_secrets(&mut self, field: Field<'_>) -> [Secrets; 2] {
        if searched(field).is_some_and(|searched| self.redactor.clean.find(searched).is_some()) {
            return <[Secrets; 2]>::default();
        }
        self.search_and_remember(field)
    }

    fn search_and_remember(&mut self, field: Field<'_>) -> [Secrets; 2] {
        let secrets = self.search_field(field);
        if let Some(searched) = searched(field).filter(|_| secrets.iter().all(Secrets::is_empty)) {
            self.redactor.clean.add(searched);
        }
        secrets
    }

    fn search_field(&mut self, field: Field<'_>) -> [Secrets; 2] {
        let Field {
            name,
            value,
            never_indexed,
        } = field;
        let (of_name, rule) = match name {
            Some(name) => self.search_name(name),
            None => (Secrets::default(), self.redactor.rule(None)),
        };
        let value = value.map_or(&[][..], Unredacted::<&[u8]>::expose);
        let of_value = self.redactor.secrets(value, |search, secrets| {
            field::mark(rule, value, never_indexed, search, secrets);
        });
        [of_name, of_value]
    }

    /// Returns the secrets in the name of a field, and the rule for its values.
    fn search_name(&mut self, name: &str) -> (Secrets, Rule) {
        let searched = Searched::FieldName(name);
        if let Some(Content::Name(rule)) = self.redactor.clean.find(searched) {
            return (Secrets::default(), rule);
        }
        let secrets = self.redactor.word_secrets(Word::FieldName, name.as_bytes());
        // A value under a masked name is treated like one without a name.
        let rule = self.redactor.rule(Some(name).filter(|_| secrets.is_empty()));
        if secrets.is_empty() {
            self.redactor.clean.add_name(name, rule);
        }
        (secrets, rule)
    }

    /// Prints a value, its secrets masked. One without secrets is not copied.
    pub(super) fn text<'a>(&mut self, value: &'a [u8], secrets: Secrets) -> Printable<'a> {
        let shown = if secrets.is_empty() {
            Cow::Borrowed(value)
        } else {
            Cow::Owned(self.redactor.mask(value, secrets))
        };
        match Printable::new(shown) {
            Ok(text) if !self.latin1 || text.is_plain() => text,
            Ok(text) => self.latin1(text.bytes()),
            Err(bytes) => self.latin1(&bytes),
        }
    }

    fn latin1<'a>(&mut self, bytes: &[u8]) -> Printable<'a> {
        self.latin1 = true;
        bytes.iter().copied().map(char::from).collect::<String>().into()
    }

    pub(super) fn encoding(&self) -> Option<&'static str> {
        self.latin1.then_some("latin1")
    }
}

/// Prints a field that is known to be plain and without secrets.
fn plain_field(field: RawField<'_>) -> FieldLine<'_> {
    let value = field.value.map(|value| Printable::plain(value.expose()));
    (field.name.map(Printable::plain), value)
}

/// Returns a field as it is remembered, if it may be.
fn searched(field: Field<'_>) -> Option<Searched<'_>> {
    let Field {
        name,
        value,
        never_indexed,
    } = field;
    let known = name.zip(value).filter(|_| !never_indexed);
    known.map(|(name, value)| Searched::Field(name.as_bytes(), value.expose()))
}
