//! Fits text into columns of a terminal.

use unicode_width::UnicodeWidthChar;

use super::escape::Shown;

/// Returns a text, escaped, cut at its end to at most `width` columns.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let (whole, columns) = escaped(text.chars().take(MOST_CHARACTERS * width));
    if columns <= width {
        return whole;
    }
    let mut kept = String::new();
    let mut left = width.saturating_sub(1);
    for character in whole.chars() {
        let columns = character.width().unwrap_or(0);
        if columns > left {
            break;
        }
        left -= columns;
        kept.push(character);
    }
    if width > 0 {
        kept.push(CUT);
    }
    kept
}

/// Returns a text, escaped, cut at its begin to at most `width` columns.
pub(crate) fn cut_begin(text: &str, width: usize) -> String {
    let excess = text.chars().count().saturating_sub(MOST_CHARACTERS * width);
    let (whole, columns) = escaped(text.chars().skip(excess));
    if columns <= width {
        return whole;
    }
    let mut kept = Vec::new();
    let mut left = width.saturating_sub(1);
    for character in whole.chars().rev() {
        let columns = character.width().unwrap_or(0);
        if columns > left {
            break;
        }
        left -= columns;
        kept.push(character);
    }
    if width > 0 {
        kept.push(CUT);
    }
    kept.into_iter().rev().collect()
}

/// Returns spaces that fill a text up to `width` columns.
pub(crate) fn padding(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns(text)))
}

/// Returns how many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

fn escaped(text: impl Iterator<Item = char>) -> (String, usize) {
    let escaped = Shown(&text.collect::<String>()).to_string();
    let columns = columns(&escaped);
    (escaped, columns)
}

/// In place of what is cut off.
const CUT: char = '\u{2026}';

/// Maximum characters in a column, so that many that take no column do not make a line long.
const MOST_CHARACTERS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_the_columns_that_it_takes() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc\u{2026}");
        // Each of these takes two columns.
        assert_eq!(cut("\u{65e5}\u{672c}\u{8a9e}", 4), "\u{65e5}\u{2026}");
        assert_eq!(cut("\u{65e5}\u{672c}", 4), "\u{65e5}\u{672c}");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut_begin("[::1]:8443", 6), "\u{2026}:8443");
        assert_eq!(cut_begin("\u{65e5}\u{672c}", 2), "\u{2026}");
        assert_eq!(cut_begin("abc", 0), "");
    }

    #[test]
    fn escapes_are_counted() {
        assert_eq!(cut("a\u{1b}b", 8), "a\\u{1b}b");
        assert_eq!(cut("a\u{1b}b", 7), "a\\u{1b\u{2026}");
    }

    #[test]
    fn characters_without_columns_are_bounded() {
        let text = "a".to_owned() + &"\u{301}".repeat(100_000);
        assert!(cut(&text, 10).chars().count() <= 10 * MOST_CHARACTERS);
        assert!(cut_begin(&text, 10).chars().count() <= 10 * MOST_CHARACTERS);
        assert_eq!(columns(&cut(&text, 10)) + padding(&cut(&text, 10), 10).len(), 10);
    }
}
