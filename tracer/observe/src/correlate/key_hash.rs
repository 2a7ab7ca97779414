//! Hashes of the keys of connections, which every record is looked up by.
//!
//! A key is a process id, an address and a time, so it needs no hash of arbitrary bytes. The hash depends on a random number,
//! so that a traced process cannot choose addresses that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes the hashers of one map.
#[derive(Clone, Debug)]
pub(super) struct KeyHashes(u64);

impl Default for KeyHashes {
    fn default() -> Self {
        // The hash of nothing is as random as the keys of the standard hash.
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for KeyHashes {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(self.0)
    }
}

/// Hashes numbers.
#[derive(Debug)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        // Both halves of the product depend on all bits of both factors.
        let product = u128::from(self.0 ^ number) * u128::from(FACTOR);
        let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
        self.0 = u64::try_from(low ^ high).unwrap_or_default();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// An odd number with as many zeros as ones, from the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::event::ConnKey;

    #[test]
    fn keys_that_differ_in_any_part_have_different_hashes() {
        let hashes = KeyHashes::default();
        let keys = (0..20).flat_map(|tgid| (0..20).flat_map(move |ssl| (0..20).map(move |time| (tgid, ssl, time))));
        let hash = |(tgid, ssl, generation): (u32, u64, u64)| {
            hashes.hash_one(ConnKey {
                tgid,
                ssl: 0x7f00_0000_0000 + ssl * 0x1000,
                generation: generation * 1_000_000,
            })
        };
        // The table takes the lowest bits, and the highest seven.
        let all: HashSet<_> = keys.map(hash).collect();
        assert_eq!(all.len(), 8000);
        let lowest: HashSet<_> = all.iter().map(|hash| hash % 65_536).collect();
        assert!(lowest.len() > 7000, "{}", lowest.len());
    }
}
