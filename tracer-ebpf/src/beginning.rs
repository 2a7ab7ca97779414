//! Whether bytes may begin HTTP: a request or a response of HTTP/1, the preface of HTTP/2, or the header of a proxy before
//! them; in the middle of a connection, a frame of HTTP/2 too.
//!
//! This only keeps other protocols out: the decoder takes a closer look.

/// How many bytes are examined.
pub(crate) const EXAMINED: usize = 16;

/// The characters that end the name of the protocol at the beginning of a response.
const SLASH: u8 = b'/';

/// Returns 1 if the bytes may begin HTTP; `count` of them are there. Fewer than are needed may, if they begin a word of
/// capitals.
///
/// A global function, and so verified once and by itself: it ends in hundreds of ways.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn may_be_http(bytes: *const [u8; EXAMINED], count: u64) -> u64 {
    if bytes.is_null() {
        return 0;
    }
    // SAFETY: not null; the caller holds the bytes.
    let bytes = unsafe { &*bytes };
    (is_message(bytes, count) || is_proxy_header(bytes) || is_settings(bytes)).into()
}

/// Returns 1 if the bytes may begin a frame of HTTP/2 that is seldom anything else (RFC 9113 sections 4.1 and 6): a field section
/// that is whole, an acknowledgement of settings, a ping, a window update or a reset. Where one of them begins a read or a
/// write, the decoder can join the connection.
#[inline(never)]
pub(crate) fn may_be_frame(bytes: &[u8; EXAMINED], count: u64) -> u32 {
    if count < FRAME_HEADER {
        return 0;
    }
    let length = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
    let (kind, flags) = (bytes[3], bytes[4]);
    let is_of_connection = bytes[5] | bytes[6] | bytes[7] | bytes[8] == 0;
    let is_of_stream = bytes[5] & 0x80 == 0 && bytes[8] & 1 == 1;
    let is_frame = match kind {
        HEADERS => {
            let is_whole = flags & END_HEADERS != 0 && flags & !HEADERS_FLAGS == 0;
            is_whole && is_of_stream && length != 0 && length <= MAX_FRAME
        }
        RST_STREAM => length == 4 && flags == 0 && is_of_stream,
        SETTINGS => length == 0 && flags == ACK && is_of_connection,
        PING => length == 8 && flags & !ACK == 0 && is_of_connection,
        WINDOW_UPDATE => length == 4 && flags == 0 && (is_of_connection || is_of_stream),
        _ => false,
    };
    is_frame.into()
}

/// Bytes of the header of a frame.
const FRAME_HEADER: u64 = 9;
/// Maximum size of a frame, unless the peer allows more (RFC 9113 section 6.5.2).
const MAX_FRAME: u32 = 16_384;

/// Types of frames.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// A flag of SETTINGS and PING.
const ACK: u8 = 0x1;
/// A flag of HEADERS: no CONTINUATION follows.
const END_HEADERS: u8 = 0x4;
/// All flags of HEADERS.
const HEADERS_FLAGS: u8 = 0x2d;

/// Returns whether the bytes begin a request line or a status line.
#[inline(always)]
fn is_message(bytes: &[u8; EXAMINED], count: u64) -> bool {
    for index in 0..EXAMINED - 1 {
        if index as u64 == count {
            return index != 0;
        }
        let byte = bytes[index];
        if byte.is_ascii_uppercase() || byte == b'-' {
            continue;
        }
        if index == 0 {
            return false;
        }
        let next = bytes[index + 1];
        let is_cut = index as u64 + 1 == count;
        return match byte {
            b' ' => is_cut || is_target(next, bytes),
            SLASH => index == 4 && bytes[0] == b'H' && (is_cut || next == b'1'),
            _ => false,
        };
    }
    false
}

/// Returns whether a request target begins with a byte; that of CONNECT is a host, and behind PROXY comes a protocol.
#[inline(always)]
fn is_target(byte: u8, bytes: &[u8; EXAMINED]) -> bool {
    let is_host = byte.is_ascii_alphanumeric() || byte == b'[';
    let is_connect = bytes[0] == b'C' && bytes[1] == b'O' || bytes[0] == b'P' && bytes[1] == b'R';
    matches!(byte, b'/' | b'*' | b'h' | b'H') || is_connect && is_host
}

/// Returns whether the bytes begin the binary header of the PROXY protocol, version 2.
#[inline(always)]
fn is_proxy_header(bytes: &[u8; EXAMINED]) -> bool {
    bytes[0] == b'\r'
        && bytes[1] == b'\n'
        && bytes[2] == b'\r'
        && bytes[3] == b'\n'
        && bytes[4] == 0
        && bytes[5] == b'\r'
}

/// Returns whether the bytes begin a SETTINGS frame of HTTP/2, with which a server may begin (RFC 9113 section 3.4): its
/// length is a few times six bytes, and it has no flags and no stream.
#[inline(always)]
fn is_settings(bytes: &[u8; EXAMINED]) -> bool {
    let is_frame = bytes[3] == 4 && bytes[4] | bytes[5] | bytes[6] | bytes[7] | bytes[8] == 0;
    is_frame && bytes[0] | bytes[1] == 0 && bytes[2] % 6 == 0
}
