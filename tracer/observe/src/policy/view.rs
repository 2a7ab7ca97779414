//! A head, as rules see it, and what alerts show of it.

use crate::redact::{EvidenceLine, FieldIndex, FieldLine, Head, Names, Printable, Seen, Sizes};

/// A head, as rules see it.
pub(super) struct View<'v, 'l> {
    pub(super) head: Head,
    pub(super) fields: &'v [FieldLine<'l>],
    pub(super) seen: &'v Seen,
    pub(super) index: &'v FieldIndex,
    /// Names that are there in another form: the host, in `:authority` or the target.
    pub(super) implied: Names,
    pub(super) complete: bool,
    pub(super) unknown: u64,
    pub(super) malformed: Option<&'static str>,
    pub(super) sizes: Option<Sizes>,
    /// The server name of the handshake, if the request is for another host.
    pub(super) server_name: Option<&'v Printable<'static>>,
}

impl<'l> View<'_, 'l> {
    /// Returns the number of fields.
    pub(super) const fn count(&self) -> u64 {
        self.unknown.saturating_add(self.fields.len() as u64)
    }

    pub(super) fn of_head(&self) -> EvidenceLine<'static> {
        EvidenceLine {
            head: Some(self.head.name()),
            ..EvidenceLine::default()
        }
    }

    pub(super) fn counted(&self, count: u64, limit: u64) -> EvidenceLine<'static> {
        EvidenceLine {
            count: Some(count),
            limit: Some(limit),
            ..self.of_head()
        }
    }

    /// Returns evidence with a name.
    pub(super) fn named(&self, number: usize) -> EvidenceLine<'static> {
        EvidenceLine {
            field: Some(Printable::from(self.index.name(number).to_owned())),
            ..self.of_head()
        }
    }

    /// Returns evidence with the first field of a name.
    pub(super) fn first(&self, number: usize) -> EvidenceLine<'static> {
        let first = self
            .index
            .fields(number, self.fields)
            .next()
            .map(|field| self.evidence(field));
        first.unwrap_or_else(|| self.named(number))
    }

    pub(super) fn repeated(&self, number: usize) -> EvidenceLine<'static> {
        EvidenceLine {
            count: Some(self.index.fields(number, self.fields).count() as u64),
            ..self.named(number)
        }
    }

    fn evidence(&self, (name, value): &FieldLine<'l>) -> EvidenceLine<'static> {
        EvidenceLine {
            field: name.as_ref().map(cut),
            value: value.as_ref().map(cut),
            ..self.of_head()
        }
    }

    /// Returns evidence with the first of these fields whose value is wrong.
    pub(super) fn find_value<'f>(
        &self,
        mut fields: impl Iterator<Item = &'f FieldLine<'l>>,
        is_wrong: impl Fn(&[u8]) -> bool,
    ) -> Option<EvidenceLine<'static>>
    where
        'l: 'f,
    {
        let found = fields.find(|(_, value)| value.as_ref().is_some_and(|value| is_wrong(value.bytes())));
        found.map(|field| self.evidence(field))
    }
}

/// Maximum bytes of a name or a value in an alert.
const MAX_EVIDENCE_BYTES: usize = 256;

/// Copies a text, cut.
pub(super) fn cut(text: &Printable<'_>) -> Printable<'static> {
    if text.bytes().len() <= MAX_EVIDENCE_BYTES {
        return text.to_static();
    }
    let mut cut = String::new();
    let room = MAX_EVIDENCE_BYTES - '…'.len_utf8();
    for character in text.chars() {
        if cut.len() + character.len_utf8() > room {
            break;
        }
        cut.push(character);
    }
    cut.push('…');
    cut.into()
}
