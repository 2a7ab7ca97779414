//! Secrets in structured text: JSON members, also within escaped JSON, `name: value`, and XML elements.
//!
//! The text is percent-decoded, and may be cut short: a value without an end reaches to the end of the text.

use std::ops::Range;

/// The kind of a text, which decides where a parameter in it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Text {
    /// A path with its query: only a delimiter of URLs ends a parameter.
    Path,
    /// The value of a field: white space, quotes and angle brackets end one too.
    Value,
}

/// Calls `mark` with the range of each value whose name is secret, in order.
pub(super) fn find(text: &[u8], kind: Text, is_secret: impl Fn(&[u8]) -> bool, mut mark: impl FnMut(Range<usize>)) {
    let mut from = 0;
    while let Some(found) = separator(text, from) {
        from = found + 1;
        let Some(value) = name_before(text, found, kind)
            .filter(|name| is_secret(&name.unescaped()))
            .map(|name| name.value(text, found))
        else {
            continue;
        };
        from = value.end.max(from);
        mark(value);
    }
}

fn separator(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let at = rest.iter().position(|byte| matches!(byte, b':' | b'=' | b'>'))?;
    Some(from + at)
}

/// A name, and its syntax, which decides where its value ends.
struct Name<'a> {
    bytes: &'a [u8],
    syntax: Syntax,
}

#[derive(Clone, Copy)]
enum Syntax {
    /// `"name": value`, with this many backslashes before each quote.
    Quoted(usize),
    /// `name: value`.
    Plain,
    /// `<name>value</name>`.
    Element,
}

fn name_before(text: &[u8], separator: usize, kind: Text) -> Option<Name<'_>> {
    let from = separator.saturating_sub(LONGEST_NAME);
    let before = text.get(from..separator)?;
    let by = *text.get(separator)?;
    let trimmed = before.trim_ascii_end();
    if by != b'>' && trimmed.last().is_some_and(|byte| is_quote(*byte)) {
        let inside = trimmed.get(..trimmed.len().checked_sub(1)?)?;
        let depth = backslashes_before(inside, inside.len());
        let inside = inside.get(..inside.len().checked_sub(depth)?)?;
        let start = inside
            .iter()
            .rposition(|byte| is_quote(*byte))
            .map_or(0, |quote| quote + 1);
        return Some(Name {
            bytes: inside.get(start..)?,
            syntax: Syntax::Quoted(depth),
        });
    }
    // Most separators are those of parameters, which are not searched for here.
    let may_be_member = match by {
        b':' => kind == Text::Value,
        b'>' => true,
        _ => false,
    };
    if !may_be_member {
        return None;
    }
    let start = before
        .iter()
        .rposition(|byte| !in_plain_name(*byte))
        .map_or(0, |end| end + 1);
    let (behind, bytes) = (before.get(..start)?, before.get(start..)?);
    let syntax = match by {
        b':' if kind == Text::Value && !text.get(separator..)?.starts_with(b"://") => Syntax::Plain,
        b'>' if behind.ends_with(b"<") => Syntax::Element,
        _ => return None,
    };
    (!bytes.is_empty()).then_some(Name { bytes, syntax })
}

impl Name<'_> {
    /// Returns the name with the `\u` escapes of ASCII characters undone (RFC 8259 section 7).
    fn unescaped(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.bytes.len());
        let mut rest = self.bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'\\' {
                plain.push(byte);
                continue;
            }
            let digits = after
                .trim_ascii_start_matches(b'\\')
                .strip_prefix(b"u")
                .and_then(|hex| hex.get(..4));
            let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            if let Some(code) = code {
                plain.push(code);
                rest = after.trim_ascii_start_matches(b'\\').get(5..).unwrap_or_default();
            }
        }
        plain
    }

    fn value(&self, text: &[u8], separator: usize) -> Range<usize> {
        let arrow = text.get(separator..).is_some_and(|rest| rest.starts_with(b"=>"));
        let after = separator + 1 + usize::from(arrow);
        let rest = text.get(after..).unwrap_or_default();
        let start = after + rest.iter().take_while(|byte| is_blank(**byte)).count();
        let rest = text.get(start..).unwrap_or_default();
        let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
        let first = rest.get(slashes).copied();
        if let Some(quote) = first.filter(|byte| is_quote(*byte)) {
            let inside = start + slashes + 1;
            return inside..closing_quote(text, inside, quote, slashes);
        }
        let end = match (self.syntax, first) {
            (Syntax::Quoted(depth), Some(b'{' | b'[')) => closing_bracket(text, start, depth),
            (Syntax::Quoted(_), _) => until(text, start, |byte| matches!(byte, b',' | b'}' | b']')),
            (Syntax::Plain, _) => until(text, start, |byte| matches!(byte, b'\r' | b'\n')),
            (Syntax::Element, _) => until(text, start, |byte| byte == b'<'),
        };
        start..end
    }
}

trait TrimStart {
    fn trim_ascii_start_matches(&self, byte: u8) -> &[u8];
}

impl TrimStart for [u8] {
    fn trim_ascii_start_matches(&self, byte: u8) -> &[u8] {
        let count = self.iter().take_while(|each| **each == byte).count();
        self.get(count..).unwrap_or_default()
    }
}

/// Finds the end of a string whose quotes have `depth` backslashes before them.
fn closing_quote(text: &[u8], from: usize, quote: u8, depth: usize) -> usize {
    let mut slashes = 0;
    for (index, byte) in text.iter().enumerate().skip(from) {
        if *byte == quote && closes(slashes, depth) {
            return index.saturating_sub(slashes.min(depth));
        }
        slashes = if *byte == b'\\' { slashes + 1 } else { 0 };
    }
    text.len()
}

/// Finds the end of an object or array, ignoring brackets in strings.
fn closing_bracket(text: &[u8], from: usize, depth: usize) -> usize {
    let (mut open, mut slashes, mut quoted) = (0_usize, 0, false);
    for (index, byte) in text.iter().enumerate().skip(from) {
        match byte {
            b'"' if closes(slashes, depth) => quoted = !quoted,
            b'{' | b'[' if !quoted => open += 1,
            b'}' | b']' if !quoted => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
        slashes = if *byte == b'\\' { slashes + 1 } else { 0 };
    }
    text.len()
}

/// Returns whether a quote with this many backslashes before it delimits a string whose quotes have `depth` of them, and is
/// not part of its content: each level of escaping doubles the backslashes and adds one before each quote.
fn closes(slashes: usize, depth: usize) -> bool {
    slashes % (2 * (depth + 1)) == depth || slashes < depth
}

fn until(text: &[u8], from: usize, ends: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| !ends(**byte)).count()
}

fn backslashes_before(text: &[u8], end: usize) -> usize {
    let before = text.get(..end).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').count()
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// Returns whether a byte is white space, or the `+` that encodes it in forms.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'+')
}

fn in_plain_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$' | b'@' | b'[' | b']')
}

/// Maximum bytes of a name that are examined: its last ones decide.
const LONGEST_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::names;

    fn masked_as(kind: Text, text: &str) -> String {
        let mut ranges = Vec::new();
        find(text.as_bytes(), kind, names::is_secret, |range| ranges.push(range));
        let mut masked = text.to_owned();
        for range in ranges.into_iter().rev() {
            masked.replace_range(range, "~");
        }
        masked
    }

    #[test]
    fn secret_json_members_are_masked() {
        for (text, wanted) in [
            (r#"{"password":"hunter2","a":1}"#, r#"{"password":"~","a":1}"#),
            (r#"{"a":{"apiKey" : "hun\"ter2"}}"#, r#"{"a":{"apiKey" : "~"}}"#),
            (r#"{"pin":1234,"a":true}"#, r#"{"pin":~,"a":true}"#),
            (r#"{"tokens":["hun]","ter2"],"a":1}"#, r#"{"tokens":~,"a":1}"#),
            (r#"{"auth":{"user":"bob","x":"}"},"a":1}"#, r#"{"auth":~,"a":1}"#),
            (
                r#"{"a":"{\"password\":\"hun\\\"ter2\",\"b\":1}"}"#,
                r#"{"a":"{\"password\":\"~\",\"b\":1}"}"#,
            ),
            (r#"{"pass\u0077ord":"hunter2"}"#, r#"{"pass\u0077ord":"~"}"#),
            (r#"{"password":"hunter2"#, r#"{"password":"~"#),
            (r#"{"password":"hunter2\"#, r#"{"password":"~"#),
            (r#"{"secrets":[{"a":"hunter2""#, r#"{"secrets":~"#),
            ("{'password': 'hunter2', 'a': 1}", "{'password': '~', 'a': 1}"),
            (r#"{"password"=>"hunter2"}"#, r#"{"password"=>"~"}"#),
            (r#"{"a":"b","monkey":"c"}"#, r#"{"a":"b","monkey":"c"}"#),
        ] {
            assert_eq!(masked_as(Text::Path, text), wanted);
            assert_eq!(masked_as(Text::Value, text), wanted);
        }
    }

    #[test]
    fn secret_fields_and_elements_are_masked() {
        for (text, wanted) in [
            ("b Authorization: Bearer hunter2", "b Authorization: ~"),
            ("b X-Api-Key:hunter2, c", "b X-Api-Key:~"),
            ("a: b\r\n token: hunter2\r\n c: d", "a: b\r\n token: ~\r\n c: d"),
            ("<password>hunter2</password>", "<password>~</password>"),
            ("https://a.test:8443/x", "https://a.test:8443/x"),
            ("Sat, 21 Nov 2026 09:19:46 GMT", "Sat, 21 Nov 2026 09:19:46 GMT"),
        ] {
            assert_eq!(masked_as(Text::Value, text), wanted);
        }
        assert_eq!(masked_as(Text::Path, "/secrets/token:access"), "/secrets/token:access");
    }
}
