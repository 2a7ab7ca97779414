//! Header and trailer fields of one section, in wire order.
//!
//! In: names and values as the decoders read them. Out: [`Field`]s that borrow. Refuses nothing, and allocates three
//! times however many fields there are: heads are what this crate makes most of.

use std::fmt;

use crate::Unredacted;

/// One header or trailer field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// Lower-case name; `None` when it was an index into a table never seen (HTTP/2 joined late).
    pub name: Option<&'a str>,
    /// Value; `None` when it was an index into a table never seen.
    pub value: Option<Unredacted<&'a [u8]>>,
    /// Whether the sender forbade compressing it (RFC 7541 section 6.2.3), as one does with secrets.
    pub never_indexed: bool,
}

/// Fields in wire order; a name may occur more than once.
#[derive(Clone, Default)]
pub struct Fields {
    names: String,
    values: Vec<u8>,
    spans: Vec<Span>,
}

/// Where a field's name and value lie.
#[derive(Clone, Copy)]
struct Span {
    name: Option<Part>,
    value: Option<Part>,
    never_indexed: bool,
}

#[derive(Clone, Copy)]
struct Part {
    start: u32,
    end: u32,
}

impl Fields {
    /// Makes room for so many fields, and so many bytes of names and of values.
    pub fn with_capacity(fields: usize, name_bytes: usize, value_bytes: usize) -> Self {
        Self {
            names: String::with_capacity(name_bytes),
            values: Vec::with_capacity(value_bytes),
            spans: Vec::with_capacity(fields),
        }
    }

    /// Adds a field at the end; its name is put in lower case.
    pub fn push(&mut self, field: Field<'_>) {
        let name = field.name.map(|name| {
            let start = self.names.len();
            self.names.push_str(name);
            if let Some(name) = self.names.get_mut(start..) {
                name.make_ascii_lowercase();
            }
            Part::new(start, self.names.len())
        });
        let value = field.value.map(|value| {
            let start = self.values.len();
            self.values.extend_from_slice(value.expose());
            Part::new(start, self.values.len())
        });
        self.spans.push(Span {
            name,
            value,
            never_indexed: field.never_indexed,
        });
    }

    /// Drops all fields and keeps their room.
    pub fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
        self.spans.clear();
    }

    /// Counts the fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Goes through the fields in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            fields: self,
            spans: self.spans.iter(),
        }
    }

    /// Finds the first field of a name, given in lower case.
    pub fn get(&self, name: &str) -> Option<Field<'_>> {
        self.iter().find(|field| field.name == Some(name))
    }

    /// Finds the fields of a name, given in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.iter().filter(move |field| field.name == Some(name))
    }

    /// Counts the memory in use.
    pub fn held_bytes(&self) -> usize {
        self.names.capacity() + self.values.capacity() + self.spans.capacity() * FIELD_BYTES
    }
}

/// What a field costs besides its bytes.
pub(crate) const FIELD_BYTES: usize = size_of::<Span>();

impl Part {
    /// Sections are bounded far below 4 GiB; beyond it a part would be empty, not another.
    fn new(start: usize, end: usize) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: narrow(start),
            end: narrow(end),
        }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Goes through [`Fields`].
pub struct Iter<'a> {
    fields: &'a Fields,
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let Fields { names, values, .. } = self.fields;
        let span = self.spans.next()?;
        Some(Field {
            name: span.name.and_then(|part| names.get(part.range())),
            value: span
                .value
                .and_then(|part| values.get(part.range()))
                .map(Unredacted::borrowed),
            never_indexed: span.never_indexed,
        })
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
        all.extend(fields);
        all
    }
}

impl<'a> Extend<Field<'a>> for Fields {
    fn extend<I: IntoIterator<Item = Field<'a>>>(&mut self, fields: I) {
        for field in fields {
            self.push(field);
        }
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
    fn fields_come_out_as_they_went_in_but_for_the_case_of_names() {
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
        assert_eq!(fields.len(), 6);
        let mut expected = given;
        expected[0].name = Some("host");
        assert!(fields.iter().eq(expected));
        assert_eq!(fields.get("host"), Some(expected[0]));
        assert_eq!(fields.all("host").count(), 2);
        assert_eq!(fields.get("Host"), None);
    }

    #[test]
    fn debug_prints_names_and_no_values() {
        let fields: Fields = [field(Some("authorization"), Some("hunter2"))].into_iter().collect();
        let text = format!("{fields:?}");
        assert!(text.contains("authorization") && !text.contains("hunter2"), "{text}");
    }
}
