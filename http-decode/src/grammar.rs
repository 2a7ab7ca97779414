//! Character classes that HTTP/1 and HTTP/2 share.

/// Returns whether `byte` may be in a token (RFC 9110 section 5.6.2).
pub(crate) const fn is_tchar(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

/// Returns whether `byte` may be in a request target: anything but white space and control characters.
pub(crate) const fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// Returns whether any byte is a control character.
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    // The lowest control character has its highest bit set in the result.
    let control = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let delete = word ^ (0x7f * ONES);
        ((word.wrapping_sub(0x20 * ONES) & !word) | (delete.wrapping_sub(ONES) & !delete)) & (0x80 * ONES)
    };
    let (words, rest) = bytes.as_chunks();
    let found = words.iter().fold(0, |found, word| found | control(word));
    let last = bytes.last_chunk().map(control);
    found != 0 || last.map_or_else(|| rest.iter().any(u8::is_ascii_control), |last| last != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_found_anywhere() {
        for length in 0..20 {
            assert!(!has_control(&vec![b'x'; length]));
            for (place, byte) in (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte))) {
                let mut bytes = vec![b'~'; length];
                bytes[place] = byte;
                assert_eq!(has_control(&bytes), byte.is_ascii_control());
            }
        }
    }
}
