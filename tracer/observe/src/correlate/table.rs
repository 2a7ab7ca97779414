//! A table of what is known of each connection.
//!
//! A record looks its connection up several times while it is processed, so the one that was found last is found again
//! without a hash. What is known is far larger than a key: it has a place of its own, so that a table that grows moves keys.

use std::collections::HashMap;

use super::key_hash::KeyHashes;
use crate::event::ConnKey;

/// Values by the keys of connections.
#[derive(Debug)]
pub(super) struct Table<T> {
    places: HashMap<ConnKey, usize, KeyHashes>,
    values: Vec<Option<Box<T>>>,
    /// The places without a value.
    free: Vec<usize>,
    /// The key that was found last, and its place.
    last: Option<(ConnKey, usize)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            places: HashMap::default(),
            values: Vec::new(),
            free: Vec::new(),
            last: None,
        }
    }
}

impl<T> Table<T> {
    /// Finds the value of a key.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call costs as much as the comparison")]
    pub(super) fn find(&mut self, key: ConnKey) -> Option<&mut T> {
        let place = match self.last {
            Some((last, place)) if last == key => place,
            Some(_) | None => self.look_up(key)?,
        };
        self.values.get_mut(place)?.as_deref_mut()
    }

    /// Adds a value, in place of the one that its key had.
    pub(super) fn insert(&mut self, key: ConnKey, value: T) {
        if let Some(known) = self.find(key) {
            *known = value;
            return;
        }
        let value = Some(Box::new(value));
        let place = self.free.pop().unwrap_or(self.values.len());
        match self.values.get_mut(place) {
            Some(room) => *room = value,
            None => self.values.push(value),
        }
        self.places.insert(key, place);
    }

    /// Removes a key, and returns its value.
    pub(super) fn remove(&mut self, key: ConnKey) -> Option<T> {
        let place = self.places.remove(&key)?;
        self.last = None;
        self.free.push(place);
        self.values.get_mut(place)?.take().map(|value| *value)
    }

    /// Returns whether a key has a value.
    pub(super) fn contains(&self, key: ConnKey) -> bool {
        self.places.contains_key(&key)
    }

    /// Returns the number of values.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Iterates over the keys and their values, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnKey, &T)> {
        let value = |place: &usize| self.values.get(*place)?.as_deref();
        self.places
            .iter()
            .filter_map(move |(key, place)| value(place).map(|value| (*key, value)))
    }

    fn look_up(&mut self, key: ConnKey) -> Option<usize> {
        let place = *self.places.get(&key)?;
        self.last = Some((key, place));
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

    use super::*;

    const fn key(ssl: u64) -> ConnKey {
        ConnKey {
            tgid: 7,
            ssl,
            generation: 1,
        }
    }

    proptest! {
        #[test]
        fn a_table_is_a_map(steps in vec((0_u64..4, 0..3, any::<u32>()), 0..64)) {
            let (mut table, mut map) = (Table::default(), HashMap::new());
            for (ssl, step, value) in steps {
                match step {
                    0 => {
                        table.insert(key(ssl), value);
                        map.insert(ssl, value);
                    }
                    1 => prop_assert_eq!(table.remove(key(ssl)), map.remove(&ssl)),
                    _ => prop_assert_eq!(table.find(key(ssl)).copied(), map.get(&ssl).copied()),
                }
                prop_assert_eq!(table.contains(key(ssl)), map.contains_key(&ssl));
                prop_assert_eq!(table.len(), map.len());
                let all: HashMap<_, _> = table.iter().map(|(key, value)| (key.ssl, *value)).collect();
                prop_assert_eq!(&all, &map);
            }
        }
    }

    #[test]
    fn places_are_used_again() {
        let mut table = Table::default();
        for ssl in 0..100 {
            table.insert(key(ssl), ssl);
            table.insert(key(ssl + 1), ssl);
            table.remove(key(ssl));
        }
        assert_eq!((table.len(), table.values.len()), (1, 2));
    }
}
