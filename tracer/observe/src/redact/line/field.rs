//! Fields of heads and trailers in lines of output.

use crate::redact::Printable;

/// Name and value of a field; `None` if unknown.
pub type FieldLine<'a> = (Option<Printable<'a>>, Option<Printable<'a>>);

/// Copies what is borrowed in fields.
pub(crate) fn owned_fields(fields: &[FieldLine<'_>]) -> Vec<FieldLine<'static>> {
    let owned = |(name, value): &FieldLine<'_>| (owned(name.as_ref()), owned(value.as_ref()));
    fields.iter().map(owned).collect()
}

/// Copies what is borrowed.
pub(super) fn owned(text: Option<&Printable<'_>>) -> Option<Printable<'static>> {
    text.map(Printable::to_static)
}
