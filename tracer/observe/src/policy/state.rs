//! What rules remember.

use super::windows::Windows;
use crate::redact::FieldLine;

/// What a rule remembers.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) right: Right,
    pub(super) windows: Windows,
}

impl State {
    pub(super) fn take_forgotten(&mut self) -> u64 {
        self.windows.take_forgotten()
    }
}

/// Values in which a rule found nothing: the last one of each hash.
#[derive(Debug)]
pub(super) struct Right {
    slots: usize,
    known: Vec<Box<[u8]>>,
}

impl Default for Right {
    fn default() -> Self {
        Self::with_slots(64)
    }
}

impl Right {
    /// Creates a memory for this many values.
    pub(super) const fn with_slots(slots: usize) -> Self {
        Self {
            slots,
            known: Vec::new(),
        }
    }

    /// Returns whether a value is wrong; one that was found to be right before is not asked of again.
    pub(super) fn is_wrong(&mut self, (_, value): &FieldLine<'_>, is_wrong: impl Fn(&str) -> bool) -> bool {
        let Some(value) = value else {
            return false;
        };
        if self.contains(value.bytes()) {
            return false;
        }
        let is_wrong = is_wrong(value);
        if !is_wrong {
            self.add(value.bytes());
        }
        is_wrong
    }

    fn contains(&self, value: &[u8]) -> bool {
        self.known.get(self.slot(value)).is_some_and(|known| &**known == value)
    }

    fn add(&mut self, value: &[u8]) {
        // An empty value is the same as an empty slot, and quickly asked of again.
        if value.len() <= MAX_RIGHT_BYTES {
            self.known.resize(self.slots, Box::default());
            let slot = self.slot(value);
            if let Some(slot) = self.known.get_mut(slot) {
                *slot = value.into();
            }
        }
    }

    const fn slot(&self, value: &[u8]) -> usize {
        let [first, .., last] = value else {
            return 0;
        };
        let mixed = (value.len() as u64) ^ ((*first as u64) << 16) ^ ((*last as u64) << 24);
        // Fibonacci hashing: the high bits of the product depend on all of it.
        ((mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize) % self.slots
    }
}

const MAX_RIGHT_BYTES: usize = 512;
