//! A value as the last of its readers will see it: percent-encoding undone, as many times as it was done.
//!
//! In: a value's bytes. Out: lower-case bytes, each with the place it came from and how deep it was encoded, so that
//! rules search what is meant and mask what was sent. Refuses nothing: a `%` without two hexadecimal digits is itself.
//! One pass, linear in the value's length, however deep the encoding.

/// One byte of a decoded value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    /// The byte, in lower case.
    pub(super) byte: u8,
    /// Whether it was a capital letter.
    pub(super) capital: bool,
    /// Where in the value its spelling begins.
    start: usize,
    /// How many times it was percent-encoded.
    pub(super) depth: u8,
}

impl Seen {
    /// The byte in the case it was sent in.
    pub(super) const fn as_sent(self) -> u8 {
        if self.capital {
            self.byte.to_ascii_uppercase()
        } else {
            self.byte
        }
    }
}

/// A value with its percent-encoding undone.
pub(super) struct Decoded {
    seen: Vec<Seen>,
    length: usize,
}

impl Decoded {
    /// Decodes a value for searching.
    pub(super) fn new(value: &[u8]) -> Self {
        let mut seen = decode(value);
        for each in &mut seen {
            each.capital = each.byte.is_ascii_uppercase();
            each.byte.make_ascii_lowercase();
        }
        Self {
            seen,
            length: value.len(),
        }
    }

    /// Decodes a value, letters in the case they had.
    pub(super) fn plain(value: &[u8]) -> Vec<u8> {
        decode(value).into_iter().map(|each| each.byte).collect()
    }

    /// All bytes in order.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// The byte at an index.
    pub(super) fn at(&self, index: usize) -> Option<Seen> {
        self.seen.get(index).copied()
    }

    /// The bytes between two indexes.
    pub(super) fn between(&self, start: usize, end: usize) -> &[Seen] {
        self.seen.get(start..end).unwrap_or_default()
    }

    /// Where in the value the byte at an index begins; the value's length for the index after the last.
    pub(super) fn origin(&self, index: usize) -> usize {
        self.seen.get(index).map_or(self.length, |seen| seen.start)
    }
}

fn decode(value: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(value.len());
    for (start, &byte) in value.iter().enumerate() {
        seen.push(Seen {
            byte,
            capital: false,
            start,
            depth: 0,
        });
        while let Some(folded) = fold(&seen) {
            seen.truncate(seen.len().saturating_sub(3));
            seen.push(folded);
        }
    }
    seen
}

/// Reads the last three bytes as one, if they are a percent-encoding.
fn fold(seen: &[Seen]) -> Option<Seen> {
    let &[.., percent, high, low] = seen else { return None };
    if percent.byte != b'%' {
        return None;
    }
    let byte = hex(high.byte)? << 4 | hex(low.byte)?;
    let depth = percent.depth.max(high.depth).max(low.depth).saturating_add(1);
    Some(Seen {
        byte,
        capital: false,
        start: percent.start,
        depth,
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_is_undone_as_often_as_it_was_done() {
        for value in ["a=b", "a%3Db", "a%3db", "a%253Db", "a%25253Db", "a%2%35%33Db"] {
            assert_eq!(Decoded::plain(value.as_bytes()), b"a=b", "{value}");
        }
    }

    #[test]
    fn a_percent_sign_without_digits_is_itself() {
        assert_eq!(Decoded::plain(b"%zz%3%"), b"%zz%3%");
    }

    #[test]
    fn each_byte_knows_its_place_and_its_depth() {
        let decoded = Decoded::new(b"A%253DB");
        let places: Vec<_> = (0..=3).map(|index| decoded.origin(index)).collect();
        assert_eq!(places, [0, 1, 6, 7]);
        assert_eq!(
            decoded.seen().iter().map(|seen| seen.depth).collect::<Vec<_>>(),
            [0, 2, 0]
        );
        assert_eq!(decoded.at(0).map(|seen| seen.byte), Some(b'a'));
    }
}
