//! The ranges of a value that are secret, and masking them.
//!
//! Any number of rules mark ranges, in any order. Ranges that overlap or touch get one mask. A range outside the value masks
//! the whole value.

use std::ops::Range;

use super::{decoded::Decoded, fingerprint::Mask};

/// The ranges of a value that are secret.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<Secret>);

#[derive(Clone, Debug)]
struct Secret {
    range: Range<usize>,
    encoding: Encoding,
}

/// How a secret is encoded. Its fingerprint does not depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Encoding {
    Plain,
    Percent,
}

impl Secrets {
    /// Marks a secret. An empty range is ignored.
    pub(super) fn mark(&mut self, range: Range<usize>) {
        self.push(range, Encoding::Plain);
    }

    /// Marks a secret that may be percent-encoded.
    pub(super) fn mark_encoded(&mut self, range: Range<usize>) {
        self.push(range, Encoding::Percent);
    }

    /// Adds the secrets found in the part of this value that begins at `offset`.
    pub(super) fn append(&mut self, offset: usize, part: Self) {
        for Secret { range, encoding } in part.0 {
            self.push(range.start + offset..range.end + offset, encoding);
        }
    }

    /// Returns the secrets in a part of this value, which has `length` bytes.
    pub(super) fn within(self, length: usize, part: &Range<usize>) -> Self {
        let mut within = Self::default();
        for Secret { range, encoding } in self.0 {
            let clipped = range.start.max(part.start)..range.end.min(part.end);
            if range.end > length {
                within.push(0..usize::MAX, Encoding::Plain);
            } else if !clipped.is_empty() {
                let encoding = if clipped == range { encoding } else { Encoding::Plain };
                within.push(clipped.start - part.start..clipped.end - part.start, encoding);
            }
        }
        within
    }

    /// Returns whether nothing is marked.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies `value`, each secret replaced by a mask.
    pub(super) fn masked(self, value: &[u8], mask: &Mask) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        let mut copied = 0;
        for secret in self.united() {
            let (Some(before), Some(inside)) = (value.get(copied..secret.range.start), value.get(secret.range.clone()))
            else {
                out.clear();
                mask.write(value, &mut out);
                return out;
            };
            out.extend_from_slice(before);
            match secret.encoding {
                Encoding::Plain => mask.write(inside, &mut out),
                Encoding::Percent => mask.write(&Decoded::plain(inside), &mut out),
            }
            copied = secret.range.end;
        }
        out.extend_from_slice(value.get(copied..).unwrap_or_default());
        out
    }

    fn push(&mut self, range: Range<usize>, encoding: Encoding) {
        if !range.is_empty() {
            self.0.push(Secret { range, encoding });
        }
    }

    /// Returns the secrets in order, those that overlap or touch as one.
    fn united(mut self) -> Vec<Secret> {
        self.0.sort_by_key(|secret| (secret.range.start, secret.range.end));
        let mut united: Vec<Secret> = Vec::with_capacity(self.0.len());
        for next in self.0 {
            match united.last_mut() {
                Some(last) if last.range == next.range => {}
                Some(last) if next.range.start <= last.range.end => {
                    last.range.end = last.range.end.max(next.range.end);
                    last.encoding = Encoding::Plain;
                }
                _ => united.push(next),
            }
        }
        united
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(value: &str, ranges: &[Range<usize>]) -> String {
        let mut secrets = Secrets::default();
        for range in ranges {
            secrets.mark(range.clone());
        }
        String::from_utf8(secrets.masked(value.as_bytes(), &Mask::new(None))).unwrap()
    }

    #[test]
    fn ranges_are_masked_in_any_order() {
        assert_eq!(masked("abcdef", &[4..5, 1..2]), "a[redacted]cd[redacted]f");
    }

    #[test]
    fn ranges_that_overlap_are_masked_as_one() {
        assert_eq!(masked("abcdef", &[1..4, 2..5, 1..2]), "a[redacted]f");
    }

    #[test]
    fn ranges_that_touch_are_masked_as_one() {
        assert_eq!(masked("abcdef", &[3..5, 1..3]), "a[redacted]f");
    }

    #[test]
    fn a_part_has_the_secrets_that_it_shares() {
        let within = |ranges: [Range<usize>; 2], part: Range<usize>| {
            let value = b"abcdefgh";
            let mut secrets = Secrets::default();
            for range in ranges {
                secrets.mark(range);
            }
            let secrets = secrets.within(value.len(), &part);
            String::from_utf8(secrets.masked(&value[part], &Mask::new(None))).unwrap()
        };
        assert_eq!(within([0..1, 6..8], 1..6), "bcdef");
        assert_eq!(within([0..3, 4..5], 2..6), "[redacted]d[redacted]f");
        assert_eq!(within([0..8, 1..2], 2..6), "[redacted]");
        assert_eq!(within([0..1, 7..9], 2..6), "[redacted]");
    }

    #[test]
    fn an_empty_range_is_ignored() {
        assert_eq!(masked("ab", &[1..1, 2..2]), "ab");
    }

    #[test]
    fn a_range_outside_the_value_masks_it_whole() {
        assert_eq!(masked("abc", &[0..1, 2..4]), "[redacted]");
    }
}
