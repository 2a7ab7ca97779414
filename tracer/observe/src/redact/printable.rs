//! Texts as they are printed.

use std::{
    borrow::Cow,
    fmt::{self, Debug, Display, Formatter},
    ops::Deref,
};

use serde::{Serialize, Serializer};

/// A text that may be printed: a part of what was observed, or a copy of it with masks.
///
/// Its bytes are UTF-8. That is not asked again for a text that is known to be plain, as nearly all are.
#[derive(Clone)]
pub struct Printable<'a>(Bytes<'a>);

#[derive(Clone)]
enum Bytes<'a> {
    /// They are plain; see [`is_plain`].
    Plain(&'a [u8]),
    /// They are not plain.
    Other(&'a [u8]),
    /// A copy, plain or not.
    Owned(Vec<u8>),
}

impl<'a> Printable<'a> {
    /// Returns the text, or the bytes if they are not UTF-8.
    pub(super) fn new(bytes: Cow<'a, [u8]>) -> Result<Self, Cow<'a, [u8]>> {
        let plain = is_plain(&bytes);
        if !plain && str::from_utf8(&bytes).is_err() {
            return Err(bytes);
        }
        Ok(Self(match bytes {
            Cow::Borrowed(bytes) if plain => Bytes::Plain(bytes),
            Cow::Borrowed(bytes) => Bytes::Other(bytes),
            Cow::Owned(bytes) => Bytes::Owned(bytes),
        }))
    }

    /// Returns the text of bytes that are plain.
    pub(super) const fn plain(bytes: &'a [u8]) -> Self {
        Self(Bytes::Plain(bytes))
    }

    /// Returns the text of bytes that are UTF-8 and not plain.
    pub(super) const fn utf8(bytes: &'a [u8]) -> Self {
        Self(Bytes::Other(bytes))
    }

    /// Returns whether JSON has the text as it is.
    pub(super) fn is_plain(&self) -> bool {
        match &self.0 {
            Bytes::Plain(_) => true,
            Bytes::Other(_) => false,
            Bytes::Owned(bytes) => is_plain(bytes),
        }
    }

    /// Copies what is borrowed.
    pub(crate) fn to_static(&self) -> Printable<'static> {
        Printable(Bytes::Owned(self.bytes().to_vec()))
    }

    /// Returns whether it is a copy, as a masked text is.
    pub(super) const fn is_copy(&self) -> bool {
        match &self.0 {
            Bytes::Plain(_) | Bytes::Other(_) => false,
            Bytes::Owned(_) => true,
        }
    }

    /// Returns the bytes of the text.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Plain(bytes) | Bytes::Other(bytes) => bytes,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl Eq for Printable<'_> {}

impl PartialEq for Printable<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Deref for Printable<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

impl<'a> From<&'a str> for Printable<'a> {
    fn from(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        Self(if is_plain(bytes) {
            Bytes::Plain(bytes)
        } else {
            Bytes::Other(bytes)
        })
    }
}

impl From<String> for Printable<'_> {
    fn from(text: String) -> Self {
        Self(Bytes::Owned(text.into_bytes()))
    }
}

impl Display for Printable<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.pad(self)
    }
}

impl Debug for Printable<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, formatter)
    }
}

impl Serialize for Printable<'_> {
    /// Serializes a text. A format that is not for people, as the writer of lines is, gets the bytes of a plain one, which it
    /// need not search.
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Bytes::Plain(bytes) if !serializer.is_human_readable() => serializer.serialize_bytes(bytes),
            Bytes::Plain(_) | Bytes::Other(_) | Bytes::Owned(_) => self.serialize_any(serializer),
        }
    }
}

impl Printable<'_> {
    #[inline(never)]
    fn serialize_any<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() && self.is_plain() {
            return serializer.serialize_bytes(self.bytes());
        }
        serializer.serialize_str(self)
    }
}

/// Serializes a word of ours, which is plain.
pub(super) fn plain_word<S: Serializer>(word: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(word)
    } else {
        serializer.serialize_bytes(word.as_bytes())
    }
}

/// Serializes the id of an exchange, which is plain: it is made of digits and hyphens.
pub(super) fn plain_id<S: Serializer>(id: &String, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(id)
    } else {
        serializer.serialize_bytes(id.as_bytes())
    }
}

/// Serializes a word of ours that may be absent.
#[expect(clippy::ref_option_ref, reason = "serde passes it so")]
pub(super) fn plain_word_if_any<S: Serializer>(word: &Option<&'static str>, serializer: S) -> Result<S::Ok, S::Error> {
    match word {
        Some(word) => plain_word(word, serializer),
        None => serializer.serialize_none(),
    }
}

/// Returns whether JSON has these bytes as they are: no byte is a control character, a quote, a backslash, or beyond ASCII.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks();
    let special = words.iter().fold(0, |special, word| special | special_bytes(*word));
    let last = bytes.last_chunk().map(|word| special_bytes(*word));
    let is_special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    special == 0 && last.map_or_else(|| !rest.iter().any(is_special), |last| last == 0)
}

/// Returns a number that is zero if and only if none of eight bytes has to be escaped.
const fn special_bytes(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(word);
    // The lowest byte for which one of these conditions holds has its highest bit set; a borrow or carry of that byte can
    // only set bits above it.
    let (quote, backslash) = (word ^ (b'"' as u64 * ONES), word ^ (b'\\' as u64 * ONES));
    let control = word.wrapping_sub(0x20 * ONES) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    let beyond = word | word.wrapping_add(ONES);
    (control | quote | backslash | beyond) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_plain_unless_json_escapes_a_byte() {
        for length in 0..20 {
            for (place, byte) in (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
                for around in *b"x~ !" {
                    let mut text = vec![around; length];
                    text[place] = byte;
                    let escaped = !(b' '..0x7f).contains(&byte) || byte == b'"' || byte == b'\\';
                    assert_eq!(is_plain(&text), !escaped, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn only_bytes_that_are_not_utf8_are_no_text() {
        for text in ["", "plain", "caf\u{e9}", "\"\n"] {
            let printable = Printable::new(Cow::Borrowed(text.as_bytes())).unwrap();
            assert_eq!((&*printable, &printable), (text, &Printable::from(text)));
        }
        assert!(Printable::new(Cow::Borrowed(b"\xe9")).is_err());
    }
}
