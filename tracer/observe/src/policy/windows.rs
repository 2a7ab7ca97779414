//! Counts of exchanges by key, within windows of time.
//!
//! The window of a key begins with the first exchange of it, and the next one with the first exchange after its end. A key is
//! alerted of once in each window.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
};

use crate::limits::MAX_POLICY_KEYS;

/// The windows of a rule.
#[derive(Debug, Default)]
pub(super) struct Windows {
    open: HashMap<u64, Window, BuildHasherDefault<Hashed>>,
    /// The keys by the beginnings of their windows. Those of windows that have ended since are left in it until their turn.
    order: VecDeque<(u64, u64)>,
    /// Keys whose window was forgotten because there were too many.
    forgotten: u64,
}

/// Takes keys as they are: they are hashes already, of which nobody knows the key.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[derive(Debug)]
struct Window {
    began_ns: u64,
    /// Exchanges.
    count: u64,
    /// Hashes of different values, no more than what is too many.
    values: Vec<u64>,
    is_alerted: bool,
}

impl Windows {
    /// Counts an exchange. Returns the number in this window if that is too many for the first time.
    pub(super) fn count(&mut self, key: u64, within_ns: u64, most: u64, now_ns: u64) -> Option<u64> {
        let window = self.window(key, within_ns, now_ns);
        window.count += 1;
        let is_new = window.count > most && !std::mem::replace(&mut window.is_alerted, window.count > most);
        is_new.then_some(window.count)
    }

    /// Counts the different values of a key. Returns their number if that is too many for the first time.
    pub(super) fn count_values(&mut self, key: u64, value: u64, within_ns: u64, most: u64, now_ns: u64) -> Option<u64> {
        let window = self.window(key, within_ns, now_ns);
        if window.is_alerted || window.values.contains(&value) {
            return None;
        }
        window.values.push(value);
        let count = window.values.len() as u64;
        if count <= most {
            return None;
        }
        window.is_alerted = true;
        window.values = Vec::new();
        Some(count)
    }

    pub(super) fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    fn window(&mut self, key: u64, within_ns: u64, now_ns: u64) -> &mut Window {
        self.expire(within_ns, now_ns);
        let is_full = self.open.len() >= MAX_POLICY_KEYS;
        if is_full && !self.open.contains_key(&key) {
            self.forget_oldest();
        }
        match self.open.entry(key) {
            Entry::Occupied(window) => window.into_mut(),
            Entry::Vacant(vacant) => {
                self.order.push_back((now_ns, key));
                vacant.insert(Window {
                    began_ns: now_ns,
                    count: 0,
                    values: Vec::new(),
                    is_alerted: false,
                })
            }
        }
    }

    /// Removes the windows that have ended.
    fn expire(&mut self, within_ns: u64, now_ns: u64) {
        while let Some((began_ns, key)) = self.order.front().copied() {
            if now_ns.saturating_sub(began_ns) < within_ns {
                return;
            }
            self.order.pop_front();
            self.remove(began_ns, key);
        }
    }

    fn forget_oldest(&mut self) {
        while let Some((began_ns, key)) = self.order.pop_front() {
            if self.remove(began_ns, key) {
                self.forgotten += 1;
                return;
            }
        }
    }

    /// Removes the window of a key that began then; returns false if it has another one by now.
    fn remove(&mut self, began_ns: u64, key: u64) -> bool {
        let is_it = self.open.get(&key).is_some_and(|window| window.began_ns == began_ns);
        is_it && self.open.remove(&key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_alerted_of_once_in_each_window() {
        let mut windows = Windows::default();
        let mut count = |now_ns| windows.count(1, 100, 2, now_ns);
        assert_eq!([0, 10, 20, 30, 99].map(&mut count), [None, None, Some(3), None, None]);
        assert_eq!([100, 150, 199, 200].map(&mut count), [None, None, Some(3), None]);
    }

    #[test]
    fn different_values_are_counted_once_each() {
        let mut windows = Windows::default();
        let mut count = |value, now_ns| windows.count_values(1, value, 100, 2, now_ns);
        assert_eq!(
            [1, 1, 2, 2, 3, 4].map(|value| count(value, 0)),
            [None, None, None, None, Some(3), None]
        );
        assert_eq!([1, 2, 3].map(|value| count(value, 100)), [None, None, Some(3)]);
    }

    #[test]
    fn the_oldest_key_is_forgotten_at_the_bound_and_counted() {
        let mut windows = Windows::default();
        let most = MAX_POLICY_KEYS as u64;
        for key in 0..=most {
            assert_eq!(windows.count(key, u64::MAX, 1, key), None);
        }
        assert_eq!((windows.open.len(), windows.take_forgotten()), (MAX_POLICY_KEYS, 1));
        assert_eq!(windows.count(most, u64::MAX, 1, most), Some(2));
        assert_eq!(windows.count(0, u64::MAX, 1, most), None);
        assert_eq!((windows.take_forgotten(), windows.take_forgotten()), (1, 0));
        // What has ended takes no room.
        assert_eq!(windows.count(7, 10, 1, 10 * most), None);
        assert_eq!((windows.open.len(), windows.order.len()), (1, 1));
    }
}
