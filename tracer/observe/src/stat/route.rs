//! Path templates: the segments of a path that tell one item from another become `{}`.

use crate::limits::MAX_STAT_TEXT_BYTES;

/// Returns the template of a path: without its query, and with `{}` for each segment that is a number, a date, a UUID,
/// hexadecimal digits, a long token, or that was masked.
pub fn template(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let segments = path
        .split('/')
        .map(|segment| if is_item(segment) { "{}" } else { segment });
    let mut template = String::new();
    for (index, segment) in segments.enumerate() {
        if index > MAX_SEGMENTS {
            template += "/\u{2026}";
            break;
        }
        if index > 0 {
            template.push('/');
        }
        template += segment;
    }
    shortened(&template)
}

/// Returns a text, cut if it is too long for a table.
pub fn shortened(text: &str) -> String {
    if text.len() <= MAX_STAT_TEXT_BYTES {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if kept.len() + character.len_utf8() > MAX_STAT_TEXT_BYTES {
            break;
        }
        kept.push(character);
    }
    kept.push('\u{2026}');
    kept
}

/// Returns whether a segment names one item of many.
fn is_item(segment: &str) -> bool {
    let has_digit = segment.bytes().any(|byte| byte.is_ascii_digit());
    let all = |allowed: fn(u8) -> bool| segment.bytes().all(allowed);
    let number_or_date = has_digit && all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':' | b','));
    let hexadecimal = has_digit && segment.len() >= 8 && all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let token = has_digit
        && segment.len() >= 20
        && all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'=' | b'%'));
    number_or_date || hexadecimal || token || segment.len() > MAX_SEGMENT_BYTES || segment.contains("[redacted")
}

/// A longer segment is taken for data.
const MAX_SEGMENT_BYTES: usize = 64;

/// Segments of a template. A deeper path is cut.
const MAX_SEGMENTS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_name_an_item_become_braces() {
        for (path, expected) in [
            ("/", "/"),
            ("*", "*"),
            ("/users/42", "/users/{}"),
            ("/v1/users/42/posts/7?page=2", "/v1/users/{}/posts/{}"),
            ("/o/123e4567-e89b-12d3-a456-426614174000/x", "/o/{}/x"),
            ("/c/deadbeef01", "/c/{}"),
            ("/c/deadbeef", "/c/deadbeef"),
            ("/c/facade/feed", "/c/facade/feed"),
            ("/d/2026-11-29/log", "/d/{}/log"),
            ("/t/eyJhbGciOiJIUzI1NiJ9.e30.x", "/t/{}"),
            ("/t/[redacted]/x", "/t/{}/x"),
            ("/t/[redacted:0123456789abcdef]", "/t/{}"),
            ("/static/app.js", "/static/app.js"),
            ("/static/app.3f2a.js", "/static/app.3f2a.js"),
            ("/a//b/", "/a//b/"),
            ("/search#x", "/search"),
            ("", ""),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    #[test]
    fn a_template_is_bounded() {
        assert_eq!(template(&"/a".repeat(1000)), "/a".repeat(MAX_SEGMENTS) + "/\u{2026}");
        assert_eq!(template(&format!("/{}", "x".repeat(65))), "/{}");
        let long = template(&format!("/{}", "x".repeat(60)).repeat(10));
        assert_eq!(long.len(), MAX_STAT_TEXT_BYTES + '\u{2026}'.len_utf8());
        let wide = shortened(&"\u{65e5}".repeat(MAX_STAT_TEXT_BYTES));
        assert!(wide.len() <= MAX_STAT_TEXT_BYTES + 3);
    }
}
