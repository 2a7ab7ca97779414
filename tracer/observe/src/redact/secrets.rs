//! Where the secrets are in a value, and the value without them.
//!
//! In: ranges of a value's bytes, from any number of rules, in any order. Out: a copy in which each is masked; ranges
//! that overlap or touch are masked as one. Refuses ranges outside the value, by masking it whole.

use std::ops::Range;

use super::{decoded::Decoded, fingerprint::Mask};

/// The ranges of a value that are secret.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<Secret>);

#[derive(Clone, Debug)]
struct Secret {
    range: Range<usize>,
    spelled: Spelled,
}

/// How a secret is written; its fingerprint is that of the secret, however it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Spelled {
    Plainly,
    PercentEncoded,
}

impl Secrets {
    /// Marks a secret; an empty one needs no mask.
    pub(super) fn mark(&mut self, range: Range<usize>) {
        self.push(range, Spelled::Plainly);
    }

    /// Marks a secret that may be percent-encoded.
    pub(super) fn mark_encoded(&mut self, range: Range<usize>) {
        self.push(range, Spelled::PercentEncoded);
    }

    /// Takes over the secrets found in the part of this value that begins at `offset`.
    pub(super) fn append(&mut self, offset: usize, part: Self) {
        for Secret { range, spelled } in part.0 {
            self.push(range.start + offset..range.end + offset, spelled);
        }
    }

    /// Tells whether there are none.
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
            match secret.spelled {
                Spelled::Plainly => mask.write(inside, &mut out),
                Spelled::PercentEncoded => mask.write(&Decoded::plain(inside), &mut out),
            }
            copied = secret.range.end;
        }
        out.extend_from_slice(value.get(copied..).unwrap_or_default());
        out
    }

    fn push(&mut self, range: Range<usize>, spelled: Spelled) {
        if !range.is_empty() {
            self.0.push(Secret { range, spelled });
        }
    }

    fn united(mut self) -> Vec<Secret> {
        self.0.sort_by_key(|secret| (secret.range.start, secret.range.end));
        let mut united: Vec<Secret> = Vec::with_capacity(self.0.len());
        for next in self.0 {
            match united.last_mut() {
                Some(last) if last.range == next.range => {}
                Some(last) if next.range.start <= last.range.end => {
                    last.range.end = last.range.end.max(next.range.end);
                    last.spelled = Spelled::Plainly;
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
    fn an_empty_secret_needs_no_mask() {
        assert_eq!(masked("ab", &[1..1, 2..2]), "ab");
    }

    #[test]
    fn a_range_outside_the_value_masks_it_whole() {
        assert_eq!(masked("abc", &[0..1, 2..4]), "[redacted]");
    }
}
