//! Remembers texts in which no rule found a secret: most fields of an exchange are those of earlier ones.
//!
//! A text is found only if it is equal to one that was searched, and under the same name, so what is printed does not
//! depend on what is remembered. Nothing that was masked is remembered.

use super::{field::Rule, is_plain};
use crate::limits::{MAX_CLEAN_BYTES, MAX_CLEAN_TEXTS};

/// A text and what decides which rules apply to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Searched<'a> {
    /// The name and the value of a field.
    Field(&'a [u8], &'a [u8]),
    /// The name of a field, whose values may have secrets.
    FieldName(&'a str),
    /// An authority.
    Authority(&'a [u8]),
}

/// What is known of a remembered text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Content {
    /// The name and the value are plain.
    Plain,
    /// They are not, or not both.
    #[default]
    Other,
    /// It is a name, and this is the rule for its values.
    Name(Rule),
}

/// The texts, in sets of two. In each, the first was found or added last.
pub(super) struct Clean(Box<[[Known; 2]]>);

/// The kind of a text, and where its value begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Kind {
    #[default]
    None,
    Field(usize),
    FieldName,
    Authority,
}

/// A text.
#[derive(Clone, Debug, Default)]
struct Known {
    kind: Kind,
    /// Its name and value.
    text: Vec<u8>,
    content: Content,
}

impl Default for Clean {
    fn default() -> Self {
        Self((0..MAX_CLEAN_TEXTS / 2).map(|_| <[Known; 2]>::default()).collect())
    }
}

impl Clean {
    /// Finds a text.
    pub(super) fn find(&mut self, searched: Searched<'_>) -> Option<Content> {
        let [first, second] = self.0.get_mut(searched.place())?;
        if !first.is(searched) {
            if !second.is(searched) {
                return None;
            }
            std::mem::swap(first, second);
        }
        Some(first.content)
    }

    /// Remembers a text that is not too long, in place of the one in its set that was not used for longer.
    pub(super) fn add(&mut self, searched: Searched<'_>) {
        let (name, value) = searched.parts();
        let plain = is_plain(name) && is_plain(value);
        self.add_with(searched, if plain { Content::Plain } else { Content::Other });
    }

    /// Remembers the name of a field, and the rule for its values.
    pub(super) fn add_name(&mut self, name: &str, rule: Rule) {
        self.add_with(Searched::FieldName(name), Content::Name(rule));
    }

    fn add_with(&mut self, searched: Searched<'_>, content: Content) {
        let (name, value) = searched.parts();
        if name.len().saturating_add(value.len()) > MAX_CLEAN_BYTES {
            return;
        }
        if let Some([first, second]) = self.0.get_mut(searched.place()) {
            std::mem::swap(first, second);
            first.kind = searched.kind();
            first.content = content;
            first.text.clear();
            first.text.extend_from_slice(name);
            first.text.extend_from_slice(value);
        }
    }
}

impl Known {
    fn is(&self, searched: Searched<'_>) -> bool {
        let (name, value) = searched.parts();
        self.kind == searched.kind() && self.text.strip_prefix(name) == Some(value)
    }
}

impl<'a> Searched<'a> {
    const fn parts(self) -> (&'a [u8], &'a [u8]) {
        match self {
            Self::Field(name, value) => (name, value),
            Self::FieldName(name) => (name.as_bytes(), b""),
            Self::Authority(value) => (b"", value),
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Field(name, _) => Kind::Field(name.len()),
            Self::FieldName(_) => Kind::FieldName,
            Self::Authority(_) => Kind::Authority,
        }
    }

    fn place(self) -> usize {
        let (name, value) = self.parts();
        let hash = hash(value, hash(name, 0));
        usize::try_from(hash >> 32).unwrap_or_default() % (MAX_CLEAN_TEXTS / 2)
    }
}

/// Spreads texts over the sets. Texts that somebody chose to have the same hash are searched each time, like new ones.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mix = |hash: u64, word: [u8; 8]| (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks();
    let hash = words.iter().copied().fold(seed, mix);
    // The last eight bytes cost less than the rest, one by one.
    let last = bytes.last_chunk().copied().unwrap_or_else(|| {
        rest.iter()
            .fold(0, |last, byte| last << 8 | u64::from(*byte))
            .to_le_bytes()
    });
    mix(hash, last)
}

/// An odd number with as many zeros as ones, from the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_under_its_own_name_and_kind_only() {
        let mut clean = Clean::default();
        assert!(clean.find(Searched::Authority(b"")).is_none());
        assert!(clean.find(Searched::Field(b"", b"")).is_none());
        let added = Searched::Field(b"accept", b"*/*");
        clean.add(added);
        assert!(clean.find(added).is_some());
        // Place every one of them where the added one is.
        for other in [
            Searched::Field(b"accept*", b"/*"),
            Searched::Field(b"", b"accept*/*"),
            Searched::Field(b"accept", b"*/"),
            Searched::Field(b"accept", b"*/*;"),
            Searched::Authority(b"accept*/*"),
            Searched::FieldName("accept*/*"),
            Searched::FieldName("accept"),
        ] {
            let [known, _] = &clean.0[added.place()];
            assert!(known.is(added) && !known.is(other), "{other:?}");
            assert!(clean.find(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn the_texts_are_bounded_in_number_and_length() {
        let mut clean = Clean::default();
        for number in 0..10 * MAX_CLEAN_TEXTS {
            clean.add(Searched::Field(b"x", number.to_string().as_bytes()));
        }
        assert_eq!(clean.0.as_flattened().len(), MAX_CLEAN_TEXTS);
        let last = (10 * MAX_CLEAN_TEXTS - 1).to_string();
        assert!(clean.find(Searched::Field(b"x", last.as_bytes())).is_some());
        let long = [b'x'; MAX_CLEAN_BYTES + 1];
        clean.add(Searched::Authority(&long));
        assert!(clean.find(Searched::Authority(&long)).is_none());
        clean.add(Searched::Authority(&long[1..]));
        assert!(clean.find(Searched::Authority(&long[1..])).is_some());
    }

    #[test]
    fn the_one_in_a_set_that_was_used_last_is_kept() {
        let mut clean = Clean::default();
        let kept = b"kept".as_slice();
        clean.add(Searched::Authority(kept));
        let place = Searched::Authority(kept).place();
        let mut others = 0;
        for number in 0..200 * MAX_CLEAN_TEXTS {
            let text = number.to_string();
            if Searched::Authority(text.as_bytes()).place() == place {
                clean.add(Searched::Authority(text.as_bytes()));
                assert!(clean.find(Searched::Authority(kept)).is_some());
                others += 1;
            }
        }
        assert!(others > 2);
    }
}
