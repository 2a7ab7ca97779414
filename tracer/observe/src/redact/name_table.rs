//! The names of fields that rules mention, found by a look at the length and the ends of a name.

/// A set of names: a bit for each.
pub type Names = u128;

/// Maximum names in the rules about one kind of head.
pub(crate) const MAX_NAMES: usize = 128;

/// The names that the rules about one kind of head mention.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    names: Vec<Box<str>>,
    /// The names of each hash, as a set.
    buckets: Vec<Names>,
}

/// How many sets there are: more than names, so that most have one.
const BUCKETS: usize = 512;

impl NameTable {
    /// Adds a name, in lower case, and returns its number; `None` if there are too many.
    pub(super) fn add(&mut self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        if let Some(known) = self.names.iter().position(|known| **known == *name) {
            return Some(known);
        }
        let number = Some(self.names.len()).filter(|number| *number < MAX_NAMES)?;
        self.buckets.resize(BUCKETS, 0);
        if let Some(bucket) = self.buckets.get_mut(hash(name.as_bytes())) {
            *bucket |= 1 << number;
        }
        self.names.push(name.into());
        Some(number)
    }

    /// Returns the name with a number.
    pub(super) fn name(&self, number: usize) -> &str {
        self.names.get(number).map_or("", |name| &**name)
    }

    /// Returns the number of a name in lower case.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        let mut candidates = self.buckets.get(hash(name)).copied().unwrap_or(0);
        while candidates != 0 {
            let number = candidates.trailing_zeros() as usize;
            if self.names.get(number).is_some_and(|known| known.as_bytes() == name) {
                return Some(number);
            }
            candidates &= candidates - 1;
        }
        None
    }
}

/// Returns the set of a name, by its length and its ends.
const fn hash(name: &[u8]) -> usize {
    match name {
        [first, .., last] => (name.len() + *first as usize * 7 + *last as usize * 31) % BUCKETS,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_bound_on_names() {
        let mut table = NameTable::default();
        assert!((0..MAX_NAMES).all(|number| table.add(&format!("x-{number}")) == Some(number)));
        assert_eq!(table.add("one-more"), None);
        assert!((0..MAX_NAMES).all(|number| table.find(format!("x-{number}").as_bytes()) == Some(number)));
    }
}
