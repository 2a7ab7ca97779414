//! Secrets in URLs, in parts of URLs, and in whatever has URLs in it.
//!
//! In: a path, an authority, or any field value. Out: marks on the values of secret parameters (query, fragment,
//! matrix and `name=value` anywhere), of secret [`members`] and on userinfo. Refuses to be fooled by percent-encoding: it searches the
//! [`Decoded`] value. A parameter in a nested, encoded URL ends where that URL's own delimiters end it, since only
//! those are delimiters to whoever reads it (RFC 3986 section 2.2). When in doubt it marks more.

use std::ops::Range;

use super::{
    decoded::{Decoded, Seen},
    members::{self, Text},
    names,
    rules::Extra,
    secrets::Secrets,
    shape,
};

/// What a search looks for, beside userinfo.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    /// The user's own parameter names.
    pub(super) extra: &'a Extra,
    /// Whether the built-in rules hold.
    pub(super) built_in: bool,
}

impl Search<'_> {
    /// Marks the secrets in a path or a field's value.
    pub(super) fn mark(self, value: &[u8], text: Text, secrets: &mut Secrets) {
        if !value.contains(&b'%') {
            self.mark_plain(value, text, |place| secrets.mark(place));
        }
        // Most values have none of these and end here.
        if !value.iter().any(|byte| matches!(byte, b'=' | b'@' | b'%')) {
            return;
        }
        let decoded = Decoded::new(value);
        if value.contains(&b'%') {
            self.mark_plain(&bytes(decoded.seen()), text, |place| {
                secrets.mark_encoded(decoded.origin(place.start)..decoded.origin(place.end));
            });
        }
        self.mark_parameters(&decoded, text, secrets);
        if self.built_in {
            mark_userinfo(&decoded, text, secrets);
        }
    }

    /// Marks what shows in text without percent-encoding: secret members, and credentials by their form.
    fn mark_plain(self, plain: &[u8], text: Text, mut mark: impl FnMut(Range<usize>)) {
        members::find(plain, text, |name| self.is_secret(name, None), &mut mark);
        if self.built_in {
            shape::find(plain, mark);
        }
    }

    fn mark_parameters(self, decoded: &Decoded, text: Text, secrets: &mut Secrets) {
        let query = decoded.seen().iter().position(|seen| matches!(seen.byte, b'?' | b'#'));
        let query = query.unwrap_or(decoded.seen().len());
        let mut name = Name::default();
        let mut at = 0;
        while let Some(seen) = decoded.at(at) {
            at += 1;
            if seen.byte != b'=' {
                name.extend(seen.byte, at);
                continue;
            }
            let equals = at - 1;
            let before = name.start.checked_sub(1).and_then(|before| decoded.at(before));
            if self.is_secret(&bytes(decoded.between(name.start, equals)), before) {
                let ends = Ends {
                    text,
                    depth: seen.depth,
                    matrix: seen.depth == 0 && equals < query,
                };
                let value = ends.value(decoded, at);
                secrets.mark_encoded(decoded.origin(value.start)..decoded.origin(value.end));
                at = value.end;
            }
            name = Name { start: at, over: false };
        }
    }

    fn is_secret(self, name: &[u8], before: Option<Seen>) -> bool {
        let name = name.trim_ascii();
        let in_url = before.is_some_and(|seen| matches!(seen.byte, b'?' | b'&' | b'#' | b';'));
        let built_in = self.built_in
            && (names::is_secret(name) || in_url && names::is_secret_in_urls_only(&name.to_ascii_lowercase()));
        built_in || self.extra.names(name)
    }
}

/// Where the name before the next `=` begins.
#[derive(Default)]
struct Name {
    start: usize,
    /// White space came: the next byte begins a new name, unless it is the `=` itself.
    over: bool,
}

impl Name {
    /// Takes the byte before the index `after`.
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

/// Text in the case it was sent in, since that is where the words of names end.
fn bytes(seen: &[Seen]) -> Vec<u8> {
    seen.iter().map(|seen| seen.as_sent()).collect()
}

/// Marks what comes before the host in an authority (RFC 3986 section 3.2.1).
pub(super) fn mark_authority(authority: &[u8], secrets: &mut Secrets) {
    let decoded = Decoded::new(authority);
    if let Some(at) = decoded.seen().iter().rposition(|seen| seen.byte == b'@') {
        secrets.mark_encoded(0..decoded.origin(at));
    }
}

fn mark_userinfo(decoded: &Decoded, text: Text, secrets: &mut Secrets) {
    let mut start = 0;
    while start < decoded.seen().len() {
        let rest = decoded.between(start, decoded.seen().len());
        let ends_word = |seen: &Seen| text == Text::Value && seen.depth == 0 && ends_url(*seen);
        let length = rest.iter().position(ends_word).unwrap_or(rest.len());
        mark_userinfo_in_word(decoded, start, start + length, secrets);
        start += length + 1;
    }
}

/// Looks through text without white space, each byte of it once.
fn mark_userinfo_in_word(decoded: &Decoded, start: usize, end: usize, secrets: &mut Secrets) {
    let Some(last_at) = decoded.between(start, end).iter().rposition(|seen| seen.byte == b'@') else {
        return;
    };
    let last_at = start + last_at;
    let mut at = start;
    while at < last_at {
        let word = decoded.between(at, last_at);
        // Browsers take a backslash for a slash, so `https:\\user@host` has userinfo.
        let Some(slashes) = word
            .windows(2)
            .position(|pair| pair.iter().all(|seen| is_slash(seen.byte)))
        else {
            return;
        };
        let slashes = at + slashes + 1;
        let authority = skip(decoded, slashes, last_at, |seen| is_slash(seen.byte));
        let depth = decoded.at(slashes).map_or(0, |seen| seen.depth);
        at = skip(decoded, authority, end, |seen| {
            seen.depth > depth || !matches!(seen.byte, b'/' | b'\\' | b'?' | b'#')
        });
        let host = decoded.between(authority, at);
        let userinfo_end = match host.iter().rposition(|seen| seen.byte == b'@') {
            Some(found) => authority + found,
            // No port has other characters than digits: this is a password with a delimiter in it.
            None if !has_plausible_port(host) => last_at,
            None => continue,
        };
        secrets.mark_encoded(decoded.origin(authority)..decoded.origin(userinfo_end));
        at = at.max(userinfo_end + 1);
    }
}

fn has_plausible_port(host: &[Seen]) -> bool {
    match host.iter().rposition(|seen| matches!(seen.byte, b':' | b']')) {
        Some(colon) => host.iter().skip(colon + 1).all(|seen| seen.byte.is_ascii_digit()),
        None => true,
    }
}

fn skip(decoded: &Decoded, from: usize, to: usize, wanted: impl FnMut(&&Seen) -> bool) -> usize {
    from + decoded.between(from, to).iter().take_while(wanted).count()
}

/// What ends a parameter's value.
struct Ends {
    text: Text,
    /// How deep the `=` is encoded: a delimiter that is deeper is part of the value.
    depth: u8,
    /// Whether it is a parameter of a path segment.
    matrix: bool,
}

impl Ends {
    fn value(&self, decoded: &Decoded, after_equals: usize) -> Range<usize> {
        let end = decoded.seen().len();
        let blank = |seen: &&Seen| self.text == Text::Value && is_blank(seen.byte);
        let start = skip(decoded, after_equals, end, blank);
        let quote = decoded
            .at(start)
            .filter(|seen| self.text == Text::Value && seen.byte == b'"');
        match quote {
            Some(quote) => start + 1..closing_quote(decoded, start + 1, quote.depth),
            None => start..skip(decoded, start, end, |seen| !self.ends(**seen)),
        }
    }

    fn ends(&self, seen: Seen) -> bool {
        if seen.depth > self.depth {
            return false;
        }
        match (self.text, seen.byte) {
            (Text::Path, b'/' | b';' | b'?') => self.matrix,
            (Text::Path, b'&') => !self.matrix,
            (Text::Value, b'&') => true,
            (Text::Value, _) => ends_url(seen),
            (Text::Path, _) => false,
        }
    }
}

fn closing_quote(decoded: &Decoded, from: usize, depth: u8) -> usize {
    let mut escaped = false;
    skip(decoded, from, decoded.seen().len(), |seen| {
        let closes = seen.byte == b'"' && seen.depth == depth && !escaped;
        escaped = seen.byte == b'\\' && !escaped;
        !closes
    })
}

fn ends_url(seen: Seen) -> bool {
    is_blank(seen.byte) || matches!(seen.byte, b'"' | b'<' | b'>')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Tells whether a name may begin after `byte`.
fn is_before_name(byte: u8) -> bool {
    matches!(
        byte,
        b'?' | b'&' | b';' | b'#' | b'/' | b'\\' | b',' | b'"' | b'\'' | b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b'|'
    )
}
