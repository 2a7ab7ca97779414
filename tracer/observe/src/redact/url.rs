//! Secrets in URLs, in parts of URLs, and in any text that may contain URLs.
//!
//! These are the values of secret parameters (query, fragment, matrix, and `name=value` anywhere) and of secret [`members`],
//! and userinfo. The search runs over the [`Decoded`] value. A parameter in a nested, encoded URL ends at the delimiters of
//! that URL, because only these are delimiters to whoever parses it (RFC 3986 section 2.2). When in doubt, more is marked.

use std::{borrow::Cow, ops::Range};

use super::{
    decoded::{Decoded, DecodedByte},
    members::{self, Text},
    names,
    rules::Extra,
    secrets::Secrets,
    shape,
};

/// The rules of a search.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    /// The user's rules.
    pub(super) extra: &'a Extra,
    /// Whether the built-in rules are on.
    pub(super) built_in: bool,
}

impl Search<'_> {
    /// Marks the secrets in a path or in the value of a field.
    pub(super) fn mark(self, value: &[u8], text: Text, secrets: &mut Secrets) {
        let bytes = Classes::of(value);
        let (percent, at) = (bytes.has(Classes::PERCENT), bytes.has(Classes::AT));
        if !percent {
            if bytes.may_have_member(text) {
                members::find(
                    value,
                    text,
                    |name| self.is_secret(name, None),
                    |range| secrets.mark(range),
                );
            }
            if self.built_in {
                shape::find(value, |range| secrets.mark(range));
            }
            // Most values have neither of these bytes, or no parameter that is secret.
            let parameter = || bytes.has(Classes::EQUALS) && self.has_secret_parameter(value);
            if !at && !parameter() {
                return;
            }
        }
        let decoded = Decoded::new(value);
        if percent {
            self.mark_plain(&original(decoded.bytes()), text, |range| {
                secrets.mark_encoded(decoded.origin(range.start)..decoded.origin(range.end));
            });
        }
        self.mark_parameters(value, &decoded, text, secrets);
        if self.built_in && (percent || at) {
            mark_userinfo(&decoded, text, secrets);
        }
    }

    /// Marks secret members and credentials in percent-decoded text.
    fn mark_plain(self, plain: &[u8], text: Text, mut mark: impl FnMut(Range<usize>)) {
        members::find(plain, text, |name| self.is_secret(name, None), &mut mark);
        if self.built_in {
            shape::find(plain, mark);
        }
    }

    /// Returns whether [`mark_parameters`](Self::mark_parameters) marks anything in a value of which no byte is encoded.
    fn has_secret_parameter(self, value: &[u8]) -> bool {
        let mut name = Name::default();
        value.iter().enumerate().any(|(at, &byte)| {
            if byte != b'=' {
                name.extend(byte, at + 1);
                return false;
            }
            let before = name.start.checked_sub(1).and_then(|before| value.get(before));
            let sent = value.get(name.start..at).unwrap_or_default();
            let secret = self.is_secret(sent, before.copied());
            name = Name {
                start: at + 1,
                over: false,
            };
            secret
        })
    }

    fn mark_parameters(self, value: &[u8], decoded: &Decoded, text: Text, secrets: &mut Secrets) {
        let query = decoded.bytes().iter().position(|byte| matches!(byte.byte, b'?' | b'#'));
        let query = query.unwrap_or(decoded.bytes().len());
        let mut name = Name::default();
        let mut at = 0;
        while let Some(DecodedByte { byte, depth, .. }) = decoded.at(at) {
            at += 1;
            if byte != b'=' {
                name.extend(byte, at);
                continue;
            }
            let equals = at - 1;
            let before = name.start.checked_sub(1).and_then(|before| decoded.at(before));
            let sent = decoded.sent(value, name.start, equals);
            let sent = sent.map_or_else(|| original(decoded.between(name.start, equals)).into(), Cow::Borrowed);
            if self.is_secret(&sent, before.map(|before| before.byte)) {
                let ends = Ends {
                    text,
                    depth,
                    matrix: depth == 0 && equals < query,
                };
                let found = ends.value(decoded, at);
                secrets.mark_encoded(decoded.origin(found.start)..decoded.origin(found.end));
                at = found.end;
            }
            name = Name { start: at, over: false };
        }
    }

    /// Returns whether a name is secret; `before` is the byte in front of it.
    fn is_secret(self, name: &[u8], before: Option<u8>) -> bool {
        let name = name.trim_ascii();
        let in_url = before.is_some_and(|before| matches!(before, b'?' | b'&' | b'#' | b';'));
        let built_in = self.built_in && (names::is_secret(name) || in_url && names::is_secret_in_urls_only(name));
        built_in || self.extra.names(name)
    }
}

/// The classes of bytes that rules search for.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Classes(u8);

impl Classes {
    const PERCENT: Self = Self(1);
    const EQUALS: Self = Self(2);
    const AT: Self = Self(4);
    const COLON: Self = Self(8);
    const GREATER: Self = Self(16);
    const QUOTE: Self = Self(32);

    /// Returns the classes of the bytes in a value.
    fn of(value: &[u8]) -> Self {
        let class = |byte: &u8| Self::TABLE.get(usize::from(*byte)).copied().unwrap_or_default();
        Self(value.iter().fold(0, |found, byte| found | class(byte)))
    }

    /// The class of each byte.
    #[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
    const TABLE: [u8; 256] = {
        let mut table = [0; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            table[byte as usize] = Self::of_byte(byte).0;
            byte += 1;
        }
        table
    };

    const fn of_byte(byte: u8) -> Self {
        match byte {
            b'%' => Self::PERCENT,
            b'=' => Self::EQUALS,
            b'@' => Self::AT,
            b':' => Self::COLON,
            b'>' => Self::GREATER,
            b'"' | b'\'' => Self::QUOTE,
            _ => Self(0),
        }
    }

    const fn has(self, class: Self) -> bool {
        self.0 & class.0 != 0
    }

    /// Returns whether a value may have a member, as [`members`] finds them: with its name in quotes, before a colon in the
    /// value of a field, or as an element.
    fn may_have_member(self, text: Text) -> bool {
        self.has(Self::QUOTE) || self.has(Self::GREATER) || self.has(Self::COLON) && text == Text::Value
    }
}

/// Where the name before the next `=` begins.
#[derive(Default)]
struct Name {
    start: usize,
    /// Whether white space followed it, so that the next byte begins a new name, unless it is the `=`.
    over: bool,
}

impl Name {
    /// Updates the name with a byte; `after` is the index after it.
    fn extend(&mut self, byte: u8, after: usize) {
        if is_blank(byte) {
            self.over = true;
        } else if is_before_name(byte) {
            *self = Self {
                start: after,
                over: false,
            };
        } else if self.over {
            *self = Self {
                start: after - 1,
                over: false,
            };
        }
    }
}

/// Returns bytes in their original case, at which the words of a name are split.
fn original(bytes: &[DecodedByte]) -> Vec<u8> {
    bytes.iter().map(|byte| byte.as_sent()).collect()
}

/// Marks the userinfo of an authority (RFC 3986 section 3.2.1).
pub(super) fn mark_authority(authority: &[u8], secrets: &mut Secrets) {
    let decoded = Decoded::new(authority);
    if let Some(at) = decoded.bytes().iter().rposition(|byte| byte.byte == b'@') {
        secrets.mark_encoded(0..decoded.origin(at));
    }
}

fn mark_userinfo(decoded: &Decoded, text: Text, secrets: &mut Secrets) {
    let mut start = 0;
    while start < decoded.bytes().len() {
        let rest = decoded.between(start, decoded.bytes().len());
        let ends_word = |byte: &DecodedByte| text == Text::Value && byte.depth == 0 && ends_url(*byte);
        let length = rest.iter().position(ends_word).unwrap_or(rest.len());
        mark_userinfo_in_word(decoded, start, start + length, secrets);
        start += length + 1;
    }
}

/// Marks the userinfo of each URL in text without white space. Examines each byte once.
fn mark_userinfo_in_word(decoded: &Decoded, start: usize, end: usize, secrets: &mut Secrets) {
    let Some(last_at) = decoded.between(start, end).iter().rposition(|byte| byte.byte == b'@') else {
        return;
    };
    let last_at = start + last_at;
    let mut at = start;
    while at < last_at {
        let word = decoded.between(at, last_at);
        // Browsers treat a backslash as a slash, so `https:\\user@host` has userinfo.
        let Some(slashes) = word
            .windows(2)
            .position(|pair| pair.iter().all(|byte| is_slash(byte.byte)))
        else {
            return;
        };
        let slashes = at + slashes + 1;
        let authority = skip(decoded, slashes, last_at, |byte| is_slash(byte.byte));
        let depth = decoded.at(slashes).map_or(0, |byte| byte.depth);
        at = skip(decoded, authority, end, |byte| {
            byte.depth > depth || !matches!(byte.byte, b'/' | b'\\' | b'?' | b'#')
        });
        let host = decoded.between(authority, at);
        let userinfo_end = match host.iter().rposition(|byte| byte.byte == b'@') {
            Some(found) => authority + found,
            // A port has only digits, so this is a password with a delimiter in it.
            None if !has_plausible_port(host) => last_at,
            None => continue,
        };
        secrets.mark_encoded(decoded.origin(authority)..decoded.origin(userinfo_end));
        at = at.max(userinfo_end + 1);
    }
}

fn has_plausible_port(host: &[DecodedByte]) -> bool {
    match host.iter().rposition(|byte| matches!(byte.byte, b':' | b']')) {
        Some(colon) => host.iter().skip(colon + 1).all(|byte| byte.byte.is_ascii_digit()),
        None => true,
    }
}

/// Returns the index of the first byte in a range for which `skipped` is false.
fn skip(decoded: &Decoded, from: usize, to: usize, skipped: impl FnMut(&&DecodedByte) -> bool) -> usize {
    from + decoded.between(from, to).iter().take_while(skipped).count()
}

/// Decides where the value of a parameter ends.
struct Ends {
    text: Text,
    /// Depth of the encoding of the `=`. A delimiter that is encoded deeper is part of the value.
    depth: u8,
    /// Whether the parameter is in a path segment.
    matrix: bool,
}

impl Ends {
    fn value(&self, decoded: &Decoded, after_equals: usize) -> Range<usize> {
        let end = decoded.bytes().len();
        let blank = |byte: &&DecodedByte| self.text == Text::Value && is_blank(byte.byte);
        let start = skip(decoded, after_equals, end, blank);
        let quote = decoded
            .at(start)
            .filter(|byte| self.text == Text::Value && byte.byte == b'"');
        match quote {
            Some(quote) => start + 1..closing_quote(decoded, start + 1, quote.depth),
            None => start..skip(decoded, start, end, |byte| !self.ends(**byte)),
        }
    }

    fn ends(&self, byte: DecodedByte) -> bool {
        if byte.depth > self.depth {
            return false;
        }
        match (self.text, byte.byte) {
            (Text::Path, b'/' | b';' | b'?') => self.matrix,
            (Text::Path, b'&') => !self.matrix,
            (Text::Value, b'&') => true,
            (Text::Value, _) => ends_url(byte),
            (Text::Path, _) => false,
        }
    }
}

fn closing_quote(decoded: &Decoded, from: usize, depth: u8) -> usize {
    let mut escaped = false;
    skip(decoded, from, decoded.bytes().len(), |byte| {
        let closes = byte.byte == b'"' && byte.depth == depth && !escaped;
        escaped = byte.byte == b'\\' && !escaped;
        !closes
    })
}

fn ends_url(byte: DecodedByte) -> bool {
    is_blank(byte.byte) || matches!(byte.byte, b'"' | b'<' | b'>')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Returns whether a name may begin after `byte`.
fn is_before_name(byte: u8) -> bool {
    matches!(
        byte,
        b'?' | b'&' | b';' | b'#' | b'/' | b'\\' | b',' | b'"' | b'\'' | b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b'|'
    )
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::any, prop_assert, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_secret_parameter_is_found_without_decoding(
            value in "((token|code|key|Pin|a)?[=&?;#/ ,\"'<ax@A]){0,16}", path in any::<bool>(), built_in in any::<bool>(),
        ) {
            let extra = Extra::new(vec!["a".parse().unwrap()], Vec::new());
            let search = Search { extra: &extra, built_in };
            let text = if path { Text::Path } else { Text::Value };
            let mut secrets = Secrets::default();
            search.mark_parameters(value.as_bytes(), &Decoded::new(value.as_bytes()), text, &mut secrets);
            prop_assert!(secrets.is_empty() || search.has_secret_parameter(value.as_bytes()));
        }
    }
}
