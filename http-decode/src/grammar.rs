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
