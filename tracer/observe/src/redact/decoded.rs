//! Undoes percent-encoding, however often a value was encoded.
//!
//! Rules search the decoded bytes, and mask the bytes as they were sent, so each decoded byte has its place in the value. A
//! `%` without two hexadecimal digits stands for itself. Decoding takes one pass, in time linear in the length of the value
//! whatever the depth of the encoding.

/// One byte of a decoded value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct DecodedByte {
    /// The byte, in lower case.
    pub(super) byte: u8,
    /// Whether it was in upper case.
    pub(super) capital: bool,
    /// Where its encoding begins in the value.
    start: usize,
    /// How many times it was percent-encoded.
    pub(super) depth: u8,
}

impl DecodedByte {
    /// Returns the byte in its original case.
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
    bytes: Vec<DecodedByte>,
    length: usize,
    /// Whether any byte may have been encoded.
    encoded: bool,
}

impl Decoded {
    /// Decodes a value for a search, which ignores case.
    pub(super) fn new(value: &[u8]) -> Self {
        let encoded = value.contains(&b'%');
        let mut bytes = if encoded { decode(value) } else { as_they_are(value) };
        for each in &mut bytes {
            each.capital = each.byte.is_ascii_uppercase();
            each.byte.make_ascii_lowercase();
        }
        Self {
            bytes,
            length: value.len(),
            encoded,
        }
    }

    /// Decodes a value, letters in their original case.
    pub(super) fn plain(value: &[u8]) -> Vec<u8> {
        decode(value).into_iter().map(|each| each.byte).collect()
    }

    /// Returns the bytes from `start` up to `end` as they are in `value`, which this is; `None` if any may have been encoded.
    pub(super) fn sent<'a>(&self, value: &'a [u8], start: usize, end: usize) -> Option<&'a [u8]> {
        value.get(start..end).filter(|_| !self.encoded)
    }

    /// Returns all bytes.
    pub(super) fn bytes(&self) -> &[DecodedByte] {
        &self.bytes
    }

    /// Returns the byte at an index.
    pub(super) fn at(&self, index: usize) -> Option<DecodedByte> {
        self.bytes.get(index).copied()
    }

    /// Returns the bytes from `start` up to `end`.
    pub(super) fn between(&self, start: usize, end: usize) -> &[DecodedByte] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Returns where the byte at an index begins in the value; the length of the value if there is no such byte.
    pub(super) fn origin(&self, index: usize) -> usize {
        self.bytes.get(index).map_or(self.length, |byte| byte.start)
    }
}

const fn plain_byte(start: usize, byte: u8) -> DecodedByte {
    DecodedByte {
        byte,
        capital: false,
        start,
        depth: 0,
    }
}

/// Returns the bytes of a value in which none is encoded.
fn as_they_are(value: &[u8]) -> Vec<DecodedByte> {
    let bytes = value.iter().enumerate();
    bytes.map(|(start, byte)| plain_byte(start, *byte)).collect()
}

fn decode(value: &[u8]) -> Vec<DecodedByte> {
    let mut bytes = Vec::with_capacity(value.len());
    for (start, &byte) in value.iter().enumerate() {
        bytes.push(plain_byte(start, byte));
        while let Some(folded) = fold(&bytes) {
            bytes.truncate(bytes.len().saturating_sub(3));
            bytes.push(folded);
        }
    }
    bytes
}

/// Decodes the last three bytes, if they are a percent-encoding.
fn fold(bytes: &[DecodedByte]) -> Option<DecodedByte> {
    let &[.., percent, high, low] = bytes else { return None };
    if percent.byte != b'%' {
        return None;
    }
    let byte = hex(high.byte)? << 4 | hex(low.byte)?;
    let depth = percent.depth.max(high.depth).max(low.depth).saturating_add(1);
    Some(DecodedByte {
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
    fn a_value_is_decoded_as_often_as_it_was_encoded() {
        for value in ["a=b", "a%3Db", "a%3db", "a%253Db", "a%25253Db", "a%2%35%33Db"] {
            assert_eq!(Decoded::plain(value.as_bytes()), b"a=b", "{value}");
        }
    }

    #[test]
    fn a_percent_sign_without_digits_stands_for_itself() {
        assert_eq!(Decoded::plain(b"%zz%3%"), b"%zz%3%");
    }

    #[test]
    fn each_byte_has_its_origin_and_its_depth() {
        let decoded = Decoded::new(b"A%253DB");
        let origins: Vec<_> = (0..=3).map(|index| decoded.origin(index)).collect();
        assert_eq!(origins, [0, 1, 6, 7]);
        assert_eq!(
            decoded.bytes().iter().map(|byte| byte.depth).collect::<Vec<_>>(),
            [0, 2, 0]
        );
        assert_eq!(decoded.at(0).map(|byte| byte.byte), Some(b'a'));
    }
}
