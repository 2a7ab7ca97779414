//! Remembers what the rules of a policy find in masked fields: a mask makes different values the same.
//!
//! What is remembered is what is printed, so no secret is in it.

use super::{FieldLine, Head, Printable, field_index::FieldClass};
use crate::limits::{MAX_MASKED_BYTES, MAX_MASKED_FIELDS};

/// The fields, at most one in each place.
pub(super) struct Masked(Box<[Known]>);

/// A field, as it is printed.
#[derive(Clone, Default)]
struct Known {
    name: Vec<u8>,
    value: Vec<u8>,
    /// What rules find in it as a field of either head.
    classes: [FieldClass; 2],
}

impl Default for Masked {
    fn default() -> Self {
        Self(vec![Known::default(); MAX_MASKED_FIELDS].into())
    }
}

impl Masked {
    /// Returns what rules find in a field, if it was added.
    pub(super) fn find(&self, head: Head, line: &FieldLine<'_>) -> Option<FieldClass> {
        let (name, value) = parts(line)?;
        let known = self.0.get(place(name, value))?;
        let class = *head.of(&known.classes);
        (!class.is_unknown() && known.value == value && known.name == name).then_some(class)
    }

    /// Adds a field that is not too long, in place of another one.
    pub(super) fn add(&mut self, head: Head, line: &FieldLine<'_>, class: FieldClass) {
        let Some((name, value)) = parts(line) else {
            return;
        };
        let Some(known) = self.0.get_mut(place(name, value)) else {
            return;
        };
        if name.len().saturating_add(value.len()) > MAX_MASKED_BYTES {
            return;
        }
        if known.name != name || known.value != value {
            known.classes = [FieldClass::UNKNOWN; 2];
            known.name.clear();
            known.name.extend_from_slice(name);
            known.value.clear();
            known.value.extend_from_slice(value);
        }
        *head.of_mut(&mut known.classes) = class;
    }
}

fn parts<'l>((name, value): &'l FieldLine<'_>) -> Option<(&'l [u8], &'l [u8])> {
    name.as_ref()
        .map(Printable::bytes)
        .zip(value.as_ref().map(Printable::bytes))
}

/// Returns the place of a field.
fn place(name: &[u8], value: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.last_chunk().map_or(0, |last| u64::from_le_bytes(*last));
    let mixed = word(name) ^ word(value).rotate_left(17) ^ ((value.len() as u64) << 40) ^ name.len() as u64;
    // Fibonacci hashing: the high bits of the product depend on all of the word.
    usize::try_from(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or_default() % MAX_MASKED_FIELDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_as_the_head_and_text_that_were_added_and_in_a_bounded_memory() {
        let mut masked = Masked::default();
        let index = super::super::FieldIndex::default();
        let fields: Vec<(String, String)> = (0..10 * MAX_MASKED_FIELDS)
            .map(|number| ("x".repeat(number % 20), format!("[redacted] {}", number / 7)))
            .collect();
        for (name, value) in &fields {
            let line = (Some(Printable::from(&**name)), Some(Printable::from(&**value)));
            let class = index.class(&line);
            masked.add(Head::Request, &line, class);
            assert_eq!(masked.find(Head::Request, &line), Some(class), "{name}: {value}");
            assert_eq!(masked.find(Head::Response, &line), None, "{name}: {value}");
            let other = (Some(Printable::from("other")), line.1.clone());
            assert_eq!(masked.find(Head::Request, &other), None);
        }
        let long = "x".repeat(MAX_MASKED_BYTES + 1);
        let line = (Some(Printable::from("")), Some(Printable::from(&*long)));
        masked.add(Head::Request, &line, FieldClass::default());
        assert_eq!(masked.find(Head::Request, &line), None);
        assert_eq!(masked.find(Head::Request, &(None, None)), None);
        assert_eq!(masked.0.len(), MAX_MASKED_FIELDS);
    }
}
