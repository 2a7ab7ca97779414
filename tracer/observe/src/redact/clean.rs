//! Remembers texts in which no rule found a secret: most fields of an exchange are those of earlier ones.
//!
//! A text is found only if it is equal to one that was searched, and under the same name, so what is printed does not
//! depend on what is remembered. Nothing that was masked is remembered.

use super::{
    field::Rule,
    field_index::{FieldClass, Head},
    is_plain,
};
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
    /// The name is plain, the value is not, and it is UTF-8.
    Utf8,
    /// They are neither.
    #[default]
    Other,
    /// It is a name, and this is the rule for its values.
    Name(Rule),
}

/// The texts.
pub(super) struct Clean {
    sets: Box<[Set]>,
    /// The place of the set that a text was found in last.
    last: usize,
}

/// Two texts, of which the first was found or added last.
#[derive(Default)]
struct Set {
    texts: [Known; 2],
    /// The place of the set in which the next text was found, the last time.
    next: usize,
}

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
    hash: u64,
    kind: Kind,
    /// Its name and value.
    text: Vec<u8>,
    content: Content,
    /// What the rules of a policy find in it as a field of either head.
    classes: [FieldClass; 2],
}

impl Default for Clean {
    fn default() -> Self {
        Self {
            sets: (0..MAX_CLEAN_TEXTS / 2).map(|_| Set::default()).collect(),
            last: 0,
        }
    }
}

impl Clean {
    /// Finds the name and the value of a field.
    #[inline]
    pub(super) fn find_field(&mut self, name: &[u8], value: &[u8]) -> Option<Content> {
        self.find(Searched::Field(name, value))
    }

    /// Finds the name and the value of a field, and what the rules of a policy find in it as a field of a head.
    #[inline]
    pub(super) fn find_field_of(&mut self, head: Head, name: &[u8], value: &[u8]) -> Option<(Content, FieldClass)> {
        let searched = Searched::Field(name, value);
        let next = self.sets.get(self.last)?.next;
        let [expected, _] = &self.sets.get(next)?.texts;
        if expected.is(searched) {
            self.last = next;
            return Some((expected.content, *head.of(&expected.classes)));
        }
        let content = self.look_up(searched)?;
        let [last, _] = &self.sets.get(self.last)?.texts;
        Some((content, *head.of(&last.classes)))
    }

    /// Finds a text.
    #[inline]
    pub(super) fn find(&mut self, searched: Searched<'_>) -> Option<Content> {
        // Texts mostly follow each other as they did the last time, so most are found without a hash.
        let next = self.sets.get(self.last)?.next;
        let [expected, _] = &self.sets.get(next)?.texts;
        if expected.is(searched) {
            self.last = next;
            return Some(expected.content);
        }
        self.look_up(searched)
    }

    fn look_up(&mut self, searched: Searched<'_>) -> Option<Content> {
        let hash = searched.hash();
        let place = place(hash);
        let [first, second] = &mut self.sets.get_mut(place)?.texts;
        // Most other texts are told apart by their hashes.
        if first.hash != hash || !first.is(searched) {
            if second.hash != hash || !second.is(searched) {
                return None;
            }
            std::mem::swap(first, second);
        }
        let content = first.content;
        self.sets.get_mut(self.last)?.next = place;
        self.last = place;
        Some(content)
    }

    /// Remembers what the rules of a policy find in the text that was found last.
    pub(super) fn set_class_of_last(&mut self, head: Head, class: FieldClass) {
        if let Some(Set { texts: [last, _], .. }) = self.sets.get_mut(self.last) {
            *head.of_mut(&mut last.classes) = class;
        }
    }

    /// Remembers a text that is not too long, in place of the one in its set that was not used for longer.
    pub(super) fn add(&mut self, searched: Searched<'_>) {
        let (name, value) = searched.parts();
        let content = match (is_plain(name), is_plain(value)) {
            (true, true) => Content::Plain,
            (true, false) if str::from_utf8(value).is_ok() => Content::Utf8,
            (true | false, _) => Content::Other,
        };
        self.add_with(searched, content);
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
        let hash = searched.hash();
        if let Some(Set { texts, .. }) = self.sets.get_mut(place(hash)) {
            let [first, second] = texts;
            std::mem::swap(first, second);
            first.hash = hash;
            first.kind = searched.kind();
            first.content = content;
            first.classes = [FieldClass::UNKNOWN; 2];
            first.text.clear();
            first.text.extend_from_slice(name);
            first.text.extend_from_slice(value);
        }
    }
}

impl Known {
    /// Returns whether it is this text.
    #[inline]
    fn is(&self, searched: Searched<'_>) -> bool {
        let (name, value) = searched.parts();
        self.kind == searched.kind() && self.text.strip_prefix(name) == Some(value)
    }
}

/// Returns the set of texts with a hash.
fn place(hash: u64) -> usize {
    usize::try_from(hash).unwrap_or_default() % (MAX_CLEAN_TEXTS / 2)
}

impl<'a> Searched<'a> {
    #[inline]
    const fn parts(self) -> (&'a [u8], &'a [u8]) {
        match self {
            Self::Field(name, value) => (name, value),
            Self::FieldName(name) => (name.as_bytes(), b""),
            Self::Authority(value) => (b"", value),
        }
    }

    #[inline]
    const fn kind(self) -> Kind {
        match self {
            Self::Field(name, _) => Kind::Field(name.len()),
            Self::FieldName(_) => Kind::FieldName,
            Self::Authority(_) => Kind::Authority,
        }
    }

    #[inline]
    fn hash(self) -> u64 {
        let (name, value) = self.parts();
        hash(value, hash(name, 0))
    }
}

/// Returns the hash of a text. Texts that somebody chose to have the same hash are searched each time, like new ones.
#[inline]
fn hash(bytes: &[u8], seed: u64) -> u64 {
    let (pairs, _) = bytes.as_chunks::<16>();
    let hash = pairs
        .iter()
        .fold(seed, |hash, pair| mix(hash, u128::from_le_bytes(*pair)));
    // The last bytes, of which some may be hashed already, cost less than the rest, one by one.
    let last = match (bytes.last_chunk::<16>(), bytes.first_chunk(), bytes.last_chunk()) {
        (Some(last), _, _) => u128::from_le_bytes(*last),
        (None, Some(first), Some(last)) => both(u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        (None, _, _) => bytes.iter().fold(0, |last, byte| last << 8 | u128::from(*byte)),
    };
    mix(hash ^ u64::try_from(bytes.len()).unwrap_or(u64::MAX), last)
}

/// Mixes two words into a hash.
fn mix(hash: u64, words: u128) -> u64 {
    let [low, high] = halves(words);
    let [low, high] = halves(u128::from(hash ^ low) * u128::from(FACTOR ^ high));
    low ^ high
}

const fn both(low: u64, high: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

fn halves(words: u128) -> [u64; 2] {
    [words, words >> 64].map(|word| u64::try_from(word & u128::from(u64::MAX)).unwrap_or_default())
}

/// An odd number with as many zeros as ones, from the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

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
            let [known, _] = &clean.sets[place(added.hash())].texts;
            assert!(known.is(added) && !known.is(other), "{other:?}");
            assert!(clean.find(other).is_none(), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_found_if_and_only_if_it_was_added(steps in vec((any::<bool>(), 0_usize..12), 0..200)) {
            let values = ["", "a", "ab", "b"];
            let texts = [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("ab", 0), ("ab", 1), ("", 1), ("", 2)];
            let mut clean = Clean::default();
            let mut added = HashSet::new();
            for (is_added, number) in steps {
                let searched = match texts.get(number) {
                    Some((name, value)) => Searched::Field(name.as_bytes(), values[*value].as_bytes()),
                    None => Searched::Authority(values[number - texts.len()].as_bytes()),
                };
                if is_added && added.insert(number) {
                    clean.add(searched);
                }
                prop_assert_eq!(clean.find(searched).is_some(), added.contains(&number));
            }
        }
    }

    #[test]
    fn the_texts_are_bounded_in_number_and_length() {
        let mut clean = Clean::default();
        for number in 0..10 * MAX_CLEAN_TEXTS {
            clean.add(Searched::Field(b"x", number.to_string().as_bytes()));
        }
        assert_eq!(2 * clean.sets.len(), MAX_CLEAN_TEXTS);
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
        let kept_place = place(Searched::Authority(kept).hash());
        let mut others = 0;
        for number in 0..200 * MAX_CLEAN_TEXTS {
            let text = number.to_string();
            if place(Searched::Authority(text.as_bytes()).hash()) == kept_place {
                clean.add(Searched::Authority(text.as_bytes()));
                assert!(clean.find(Searched::Authority(kept)).is_some());
                others += 1;
            }
        }
        assert!(others > 2);
    }
}
