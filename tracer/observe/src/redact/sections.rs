//! Remembers sections of fields in which no rule found a secret: many programs send the same section with each message.
//!
//! A section is found only if it is equal, byte for byte, to one whose every field was found among the clean texts and is
//! plain. So what is printed does not depend on what is remembered, and nothing that was masked is remembered.

use http_decode::Fields;

use super::field_index::{Head, Seen};
use crate::limits::{MAX_CLEAN_SECTION_BYTES, MAX_CLEAN_SECTIONS};

/// The sections, at most one of each size.
pub(super) struct CleanSections(Box<[Known]>);

/// A section.
#[derive(Clone, Default)]
struct Known {
    fields: Fields,
    /// What the rules of a policy find in it as either head, once that is known.
    seen: [Option<Seen>; 2],
    /// Other sections of its size since it was found or added.
    others: u8,
}

/// Other sections of its size after which a section is replaced. A copy costs more than a search, so sections that take turns
/// must not replace each other each time.
const OTHERS: u8 = 16;

impl Default for CleanSections {
    fn default() -> Self {
        Self(vec![Known::default(); MAX_CLEAN_SECTIONS].into())
    }
}

impl CleanSections {
    /// Returns whether a section is one of them.
    pub(super) fn contains(&mut self, fields: &Fields) -> bool {
        let Some(known) = self.0.get_mut(place(fields)) else {
            return false;
        };
        let found = !fields.is_empty() && known.fields.is_copy_of(fields);
        if found {
            known.others = 0;
        }
        found
    }

    /// Returns what the rules of a policy find in a section that is one of them, if that is known.
    pub(super) fn seen(&mut self, fields: &Fields, head: Head) -> Option<&mut Option<Seen>> {
        let known = self.0.get_mut(place(fields))?;
        Some(head.of_mut(&mut known.seen))
    }

    /// Remembers a section that is not too long, unless the one of its size was found not long ago.
    pub(super) fn add(&mut self, fields: &Fields) {
        if fields.held_bytes() > MAX_CLEAN_SECTION_BYTES {
            return;
        }
        if let Some(known) = self.0.get_mut(place(fields)) {
            known.others += 1;
            if known.fields.is_empty() || known.others >= OTHERS {
                *known = Known {
                    fields: fields.clone(),
                    seen: [None; 2],
                    others: 0,
                };
            }
        }
    }
}

/// Returns the place of the sections of a size.
fn place(fields: &Fields) -> usize {
    fields.held_bytes() % MAX_CLEAN_SECTIONS
}

#[cfg(test)]
mod tests {
    use http_decode::{Field, Unredacted};

    use super::*;

    fn section(fields: &[(&str, &str)]) -> Fields {
        let mut section = Fields::default();
        for (name, value) in fields {
            section.push(Field {
                name: Some(name),
                value: Some(Unredacted::borrowed(value.as_bytes())),
                never_indexed: false,
            });
        }
        section
    }

    #[test]
    fn only_an_equal_section_is_found() {
        let mut sections = CleanSections::default();
        let known = section(&[("accept", "*/*"), ("host", "a")]);
        assert!(!sections.contains(&known) && !sections.contains(&Fields::default()));
        sections.add(&known);
        assert!(sections.contains(&known));
        for other in [
            section(&[("accept", "*/*"), ("host", "b")]),
            section(&[("accept*", "/*"), ("host", "a")]),
            section(&[("accept", "*/*h"), ("ost", "a")]),
            section(&[("host", "a"), ("accept", "*/*")]),
            section(&[("accept", "*/*")]),
            Fields::default(),
        ] {
            assert!(!sections.contains(&other) && !known.is_copy_of(&other), "{other:?}");
        }
        let mut secret: Fields = known.iter().take(1).collect();
        secret.push(Field {
            never_indexed: true,
            ..known.get("host").unwrap()
        });
        assert!(!sections.contains(&secret));
    }

    #[test]
    fn a_section_is_replaced_once_it_is_not_found_for_long() {
        let mut sections = CleanSections::default();
        let [first, second] = ["1", "2"].map(|value| section(&[("a", value)]));
        sections.add(&first);
        for _ in 1..OTHERS {
            sections.add(&second);
            assert!(!sections.contains(&second));
        }
        assert!(sections.contains(&first));
        for _ in 0..OTHERS {
            sections.add(&second);
        }
        assert!(sections.contains(&second) && !sections.contains(&first));
    }

    #[test]
    fn the_sections_are_bounded_in_number_and_length() {
        let mut sections = CleanSections::default();
        let long = section(&[("a", &"x".repeat(MAX_CLEAN_SECTION_BYTES))]);
        sections.add(&long);
        assert!(!sections.contains(&long));
        assert_eq!(sections.0.len(), MAX_CLEAN_SECTIONS);
    }
}
