//! Header and trailer fields of one section, in wire order.
//!
//! All names and values are in one buffer, so that a section costs two allocations, whatever the number of its fields: this
//! crate makes more sections than anything else.

use std::fmt;
use std::ops::Range;

use crate::Unredacted;

/// One header or trailer field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// The name in lower case; `None` if it was a reference to a table entry that was not seen (HTTP/2 joined late).
    pub name: Option<&'a str>,
    /// The value; `None` if it was a reference to a table entry that was not seen.
    pub value: Option<Unredacted<&'a [u8]>>,
    /// Whether the sender forbade to index it (RFC 7541 section 6.2.3), as is done with secrets.
    pub never_indexed: bool,
}

/// A [`Field`] whose name was not checked again to be a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawField<'a> {
    /// See [`Field::name`].
    pub name: Option<&'a [u8]>,
    /// See [`Field::value`].
    pub value: Option<Unredacted<&'a [u8]>>,
    /// See [`Field::never_indexed`].
    pub never_indexed: bool,
}

impl<'a> RawField<'a> {
    /// Returns the field.
    pub fn field(self) -> Field<'a> {
        Field {
            name: self.name.and_then(|name| str::from_utf8(name).ok()),
            value: self.value,
            never_indexed: self.never_indexed,
        }
    }
}

/// Fields in wire order; a name may occur more than once.
#[derive(Clone, Default)]
pub struct Fields {
    /// Names and values, possibly with other bytes between them.
    text: Vec<u8>,
    spans: Vec<Span>,
    /// The lengths of the names: most names that are looked up are not there, and no name has their length.
    lengths: Lengths,
}

/// A set of lengths, in which those from 63 on are one.
#[derive(Clone, Copy, Default)]
struct Lengths(u64);

/// Where the name and the value of a field are in the text.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Span {
    name: Part,
    value: Part,
    never_indexed: bool,
}

/// A part of the text; unknown if it begins beyond the end of any text.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Part {
    start: u32,
    length: u32,
}

impl Fields {
    /// Copies fields whose names and values are parts of `text`, and converts the names to lower case.
    pub(crate) fn of_text<'a>(text: &'a [u8], parts: impl ExactSizeIterator<Item = [&'a [u8]; 2]>) -> Self {
        let base = text.as_ptr().addr();
        let mut text = text.to_vec();
        let mut lengths = Lengths::default();
        let spans = parts.map(|[name, value]| {
            lengths.insert(name.len());
            let name = Part::new(name.as_ptr().addr().wrapping_sub(base), name.len());
            lower(text.get_mut(name.range()).unwrap_or_default());
            let value = match value {
                // An empty slice need not point into the text.
                [] => Part::new(0, 0),
                value => Part::new(value.as_ptr().addr().wrapping_sub(base), value.len()),
            };
            Span {
                name,
                value,
                never_indexed: false,
            }
        });
        let spans = spans.collect();
        Self { text, spans, lengths }
    }

    /// Adds a field at the end, and converts its name to lower case.
    pub fn push(&mut self, field: Field<'_>) {
        let name = self.append_name(field.name.map(str::as_bytes));
        lower(self.text.get_mut(name.range()).unwrap_or_default());
        let value = self.append(field.value.map(Unredacted::<&[u8]>::expose));
        self.spans.push(Span {
            name,
            value,
            never_indexed: field.never_indexed,
        });
    }

    /// Adds a field whose name has been checked to be a token in lower case.
    pub(crate) fn push_checked(&mut self, name: Option<&[u8]>, value: Option<&[u8]>, never_indexed: bool) {
        let name = self.append_name(name);
        let value = self.append(value);
        self.spans.push(Span {
            name,
            value,
            never_indexed,
        });
    }

    /// Removes all fields and keeps the capacity.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.lengths = Lengths::default();
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Iterates over the fields in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            text: &self.text,
            spans: self.spans.iter(),
        }
    }

    /// Iterates over the fields in order, without checking their names again.
    pub fn raw(&self) -> impl ExactSizeIterator<Item = RawField<'_>> {
        self.spans.iter().map(|span| span.raw(&self.text))
    }

    /// Returns whether there is a field of a name, which is given in lower case.
    pub fn contains(&self, name: &str) -> bool {
        self.lengths.contains(name.len()) && self.spans.iter().any(|span| span.name.is(name, &self.text))
    }

    /// Returns the first field of a name, which is given in lower case.
    #[inline]
    pub fn get(&self, name: &str) -> Option<Field<'_>> {
        if self.lengths.contains(name.len()) {
            self.find(name)
        } else {
            None
        }
    }

    /// Iterates over the known values of a name, which is given in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Unredacted<&'a [u8]>> {
        let named = |span: &&Span| span.name.is(name, &self.text);
        let value = |span: &Span| span.value.of_text(&self.text).map(Unredacted::borrowed);
        let spans = if self.lengths.contains(name.len()) {
            self.spans.as_slice()
        } else {
            &[]
        };
        spans.iter().filter(named).filter_map(value)
    }

    /// Returns how many bytes all names and values have at most, without looking at them.
    pub fn most_bytes(&self) -> u64 {
        self.text.len() as u64
    }

    /// Returns whether these are the same fields, and stored in the same way, as those of a copy are.
    pub fn is_copy_of(&self, other: &Self) -> bool {
        self.text == other.text && self.spans == other.spans
    }

    /// Returns the memory in use, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.text.capacity() + self.spans.capacity() * FIELD_BYTES
    }

    fn find(&self, name: &str) -> Option<Field<'_>> {
        let named = |span: &&Span| span.name.is(name, &self.text);
        self.spans.iter().find(named).map(|span| span.field(&self.text))
    }

    fn append_name(&mut self, name: Option<&[u8]>) -> Part {
        if let Some(name) = name {
            self.lengths.insert(name.len());
        }
        self.append(name)
    }

    fn append(&mut self, bytes: Option<&[u8]>) -> Part {
        let Some(bytes) = bytes else { return Part::NONE };
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Part::new(start, bytes.len())
    }
}

/// The memory of a field besides its bytes.
pub(crate) const FIELD_BYTES: usize = size_of::<Span>();

/// Converts ASCII letters to lower case, eight at a time: names are too short for vector instructions to pay off.
fn lower(name: &mut [u8]) {
    let lowered = |bytes: &[u8; 8]| lower_word(u64::from_le_bytes(*bytes)).to_le_bytes();
    // The last word is read before the words that it overlaps are written, so that the load does not wait for the stores.
    if let Some(last) = name.last_chunk().map(lowered) {
        for word in name.as_chunks_mut().0 {
            *word = lowered(word);
        }
        if let Some(end) = name.last_chunk_mut() {
            *end = last;
        }
    } else {
        lower_short(name);
    }
}

/// Converts a name of fewer than eight letters.
fn lower_short(name: &mut [u8]) {
    let lowered = |&[a, b, c, d]: &[u8; 4]| {
        let [a, b, c, d, ..] = lower_word(u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0])).to_le_bytes();
        [a, b, c, d]
    };
    let (first, last) = (name.first_chunk().map(lowered), name.last_chunk().map(lowered));
    let Some((first, last)) = first.zip(last) else {
        return name.make_ascii_lowercase();
    };
    if let Some(begin) = name.first_chunk_mut() {
        *begin = first;
    }
    if let Some(end) = name.last_chunk_mut() {
        *end = last;
    }
}

/// Converts eight ASCII letters to lower case; other bytes stay as they are.
fn lower_word(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = 0x80 * ONES;
    let low = word & !HIGH;
    // The highest bit of each byte tells whether the byte is at least A, and whether it is above Z.
    let from_a = low + (0x80 - 0x41) * ONES;
    let beyond_z = low + (0x80 - 0x5b) * ONES;
    let is_capital = (from_a ^ beyond_z) & !word & HIGH;
    word | is_capital >> 2
}

impl Lengths {
    #[inline]
    fn insert(&mut self, length: usize) {
        self.0 |= 1 << length.min(63);
    }

    #[inline]
    fn contains(self, length: usize) -> bool {
        self.0 >> length.min(63) & 1 != 0
    }
}

impl Span {
    fn field(self, text: &[u8]) -> Field<'_> {
        self.raw(text).field()
    }

    fn raw(self, text: &[u8]) -> RawField<'_> {
        RawField {
            name: self.name.of_text(text),
            value: self.value.of_text(text).map(Unredacted::borrowed),
            never_indexed: self.never_indexed,
        }
    }
}

impl Part {
    const NONE: Self = Self {
        start: u32::MAX,
        length: 0,
    };

    /// Sections are bounded far below 4 GiB; a part beyond that would be unknown, not wrong.
    fn new(start: usize, length: usize) -> Self {
        match (u32::try_from(start), u32::try_from(length)) {
            (Ok(start), Ok(length)) => Self { start, length },
            (_, _) => Self::NONE,
        }
    }

    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start.saturating_add(self.length as usize)
    }

    /// Returns whether it is this part of the text. Most differ in length.
    #[inline]
    fn is(self, part: &str, text: &[u8]) -> bool {
        self.length as usize == part.len() && self.of_text(text) == Some(part.as_bytes())
    }

    fn of_text(self, text: &[u8]) -> Option<&[u8]> {
        text.get(self.range())
    }
}

/// An iterator over [`Fields`].
pub struct Iter<'a> {
    text: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        self.spans.next().map(|span| span.field(self.text))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = Field<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> FromIterator<Field<'a>> for Fields {
    fn from_iter<I: IntoIterator<Item = Field<'a>>>(fields: I) -> Self {
        let mut all = Self::default();
        for field in fields {
            all.push(field);
        }
        all
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(name: Option<&'a str>, value: Option<&'a str>) -> Field<'a> {
        Field {
            name,
            value: value.map(|value| Unredacted::borrowed(value.as_bytes())),
            never_indexed: false,
        }
    }

    #[test]
    fn fields_are_returned_as_pushed_except_for_the_case_of_names() {
        let given = [
            field(Some("Host"), Some("a")),
            field(None, Some("gzip")),
            field(Some("x-tenant"), None),
            field(None, None),
            field(Some("empty"), Some("")),
            Field {
                never_indexed: true,
                ..field(Some("host"), Some("b"))
            },
        ];
        let fields: Fields = given.into_iter().collect();
        assert_eq!((fields.len(), fields.most_bytes()), (6, 27));
        let mut expected = given;
        expected[0].name = Some("host");
        assert!(fields.iter().eq(expected));
        assert_eq!(fields.get("host"), Some(expected[0]));
        assert_eq!(fields.values("host").count(), 2);
        assert_eq!(fields.get("Host"), None);
    }

    #[test]
    fn a_field_is_found_by_a_name_of_any_length() {
        let names: Vec<_> = (0..130).map(|length| "n".repeat(length)).collect();
        for (length, name) in names.iter().enumerate() {
            let fields: Fields = [field(Some(name), Some("a"))].into_iter().collect();
            for (other, wanted) in names.iter().enumerate() {
                assert_eq!(fields.get(wanted).is_some(), length == other);
            }
            let mut cleared = fields.clone();
            cleared.clear();
            assert_eq!(cleared.get(name), None);
        }
    }

    #[test]
    fn fields_may_be_parts_of_a_text() {
        let text = b"Host: A\r\nEmpty:\r\n";
        let fields = Fields::of_text(text, [[&text[..4], &text[6..7]], [&text[9..14], b""]].into_iter());
        assert!(
            fields
                .iter()
                .eq([field(Some("host"), Some("A")), field(Some("empty"), Some(""))])
        );
    }

    #[test]
    fn every_byte_at_every_position_is_lowered_as_ascii() {
        for length in 0..20 {
            for (place, byte) in (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
                let mut name = vec![b'Q'; length];
                name[place] = byte;
                let expected = name.to_ascii_lowercase();
                lower(&mut name);
                assert_eq!(name, expected);
            }
        }
    }

    #[test]
    fn debug_prints_names_and_no_values() {
        let fields: Fields = [field(Some("authorization"), Some("hunter2"))].into_iter().collect();
        let text = format!("{fields:?}");
        assert!(text.contains("authorization") && !text.contains("hunter2"), "{text}");
    }
}
