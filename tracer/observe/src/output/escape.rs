//! Escapes characters that must not reach a terminal.
//!
//! These are control characters, with which a value could clear the screen or forge a line of output, and characters that
//! reorder or hide text.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter},
};

/// Displays a string with unsafe characters escaped.
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for run in self.0.split_inclusive(is_unsafe) {
            let mut characters = run.chars();
            match characters.next_back() {
                Some(last) if is_unsafe(last) => write!(f, "{}{}", characters.as_str(), last.escape_default())?,
                _ => f.write_str(run)?,
            }
        }
        Ok(())
    }
}

/// Writes a value as JSON on one line, with unsafe characters escaped.
pub fn write_json(out: &mut impl Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Safe))
}

/// Compact JSON with `\u` escapes for unsafe characters and for U+007F to U+00FF.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly every fragment is plain ASCII.
        if fragment.bytes().all(|byte| byte < 0x7f) {
            return CompactFormatter.write_string_fragment(out, fragment);
        }
        for run in fragment.split_inclusive(is_escaped) {
            let mut characters = run.chars();
            match characters.next_back() {
                Some(last) if is_escaped(last) => {
                    out.write_all(characters.as_str().as_bytes())?;
                    for unit in last.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}")?;
                    }
                }
                _ => out.write_all(run.as_bytes())?,
            }
        }
        Ok(())
    }
}

/// Returns whether a character is escaped in JSON. The contract has bytes of values that are not UTF-8 as `\u00xx`, which is
/// the same to a parser of JSON.
fn is_escaped(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{ff}') || is_unsafe(character)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        write_json(&mut out, &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escape_sequences_are_escaped() {
        assert_eq!(Shown("a\x1b[2Jb\r\n").to_string(), "a\\u{1b}[2Jb\\r\\n");
        assert_eq!(Shown("\u{9b}x\u{202e}").to_string(), "\\u{9b}x\\u{202e}");
    }

    #[test]
    fn safe_characters_are_not_escaped() {
        assert_eq!(Shown("caf\u{e9} \\ \u{65e5}").to_string(), "caf\u{e9} \\ \u{65e5}");
    }

    #[test]
    fn json_escapes_bytes_and_unsafe_characters() {
        assert_eq!(json("a\"\n"), r#""a\"\n""#);
        assert_eq!(json("caf\u{e9}\u{7f}"), "\"caf\\u00e9\\u007f\"");
        assert_eq!(json("\u{65e5}\u{202e}\u{e0001}"), "\"\u{65e5}\\u202e\\udb40\\udc01\"");
    }
}
