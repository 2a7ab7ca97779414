//! The nine bytes before every frame (RFC 9113 section 4.1).
//!
//! In: nine bytes. Out: a [`Header`]. Refuses what section 6 forbids of a kind, its stream and its length; and, where no
//! boundary is known, everything that is no everyday frame.

use super::ErrorCode;

/// The kinds of frame (RFC 9113 section 6) and the extensions that are met in the field.
pub mod kind {
    /// Content.
    pub const DATA: u8 = 0x0;
    /// The beginning of a header block.
    pub const HEADERS: u8 = 0x1;
    /// What RFC 9113 section 5.3.2 deprecates.
    pub const PRIORITY: u8 = 0x2;
    /// The end of a stream that was given up.
    pub const RST_STREAM: u8 = 0x3;
    /// Parameters of the connection.
    pub const SETTINGS: u8 = 0x4;
    /// The beginning of the header block of a request the server makes up.
    pub const PUSH_PROMISE: u8 = 0x5;
    /// A sign of life.
    pub const PING: u8 = 0x6;
    /// The announced end of the connection.
    pub const GOAWAY: u8 = 0x7;
    /// Room for more content.
    pub const WINDOW_UPDATE: u8 = 0x8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 0x9;
    /// RFC 7838 section 4.
    pub const ALTSVC: u8 = 0xa;
    /// RFC 8336 section 2.
    pub const ORIGIN: u8 = 0xc;
    /// RFC 9218 section 7.1.
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// The flags of a frame (RFC 9113 section 6).
pub mod flag {
    /// SETTINGS and PING: an answer.
    pub const ACK: u8 = 0x1;
    /// DATA and HEADERS: the last frame of the stream in this direction, but for CONTINUATION.
    pub const END_STREAM: u8 = 0x1;
    /// HEADERS, `PUSH_PROMISE` and CONTINUATION: the last frame of the header block.
    pub const END_HEADERS: u8 = 0x4;
    /// DATA, HEADERS and `PUSH_PROMISE`: the payload begins with the length of the padding at its end.
    pub const PADDED: u8 = 0x8;
    /// HEADERS: the priority fields are there.
    pub const PRIORITY: u8 = 0x20;
}

/// Content in one plausible DATA frame: Go's servers take frames of up to 1 MiB, and few senders use as much.
const PLAUSIBLE_DATA: u32 = 1 << 20;
/// Bytes of a header block in one plausible frame. Where the peer takes larger frames, as nginx does, the whole block
/// comes in one; one longer than this is over what is decoded.
const PLAUSIBLE_BLOCK: u32 = 1 << 16;
/// Bytes of any other plausible frame: the size every endpoint takes.
const PLAUSIBLE_OTHER: u32 = 1 << 14;

/// The nine bytes before every frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Bytes of payload, below 2^24.
    pub length: u32,
    /// The kind, one of [`kind`] or unknown.
    pub kind: u8,
    /// The flags, whose meaning depends on the kind.
    pub flags: u8,
    /// The stream identifier, below 2^31; 0 is the connection.
    pub stream: u32,
    /// The reserved bit, which is ignored but sent as 0.
    pub reserved: bool,
}

impl Header {
    /// Reads the nine bytes, any of which make a header.
    pub const fn parse(bytes: &[u8; 9]) -> Self {
        let &[l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
            reserved: s0 & 0x80 != 0,
        }
    }

    /// Checks what RFC 9113 section 6 says of a frame's kind, stream and length, and section 4.2 of its size.
    pub fn check(&self, max_frame_size: u32) -> Result<(), ErrorCode> {
        let wrong_stream = match self.kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => self.stream != 0,
            kind::DATA
            | kind::HEADERS
            | kind::PRIORITY
            | kind::RST_STREAM
            | kind::PUSH_PROMISE
            | kind::CONTINUATION => self.stream == 0,
            _ => false,
        };
        if wrong_stream {
            Err(ErrorCode::Protocol)
        } else if self.length > max_frame_size || !self.length_fits_kind() {
            Err(ErrorCode::FrameSize)
        } else {
            Ok(())
        }
    }

    /// Returns whether these nine bytes look like a frame's, for a reader that does not know where frames begin.
    ///
    /// Stricter than [`check`](Self::check): the reserved bit is 0, the kind is known, its undefined flags are 0, the
    /// stream is what the kind asks for, and the length is one that senders use. Of uniformly random bytes 1 in 390,000 pass.
    pub fn is_plausible(&self) -> bool {
        let (flags, longest) = match self.kind {
            kind::DATA => (flag::END_STREAM | flag::PADDED, PLAUSIBLE_DATA),
            kind::HEADERS => (
                flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
                PLAUSIBLE_BLOCK,
            ),
            kind::PUSH_PROMISE => (flag::END_HEADERS | flag::PADDED, PLAUSIBLE_BLOCK),
            kind::CONTINUATION => (flag::END_HEADERS, PLAUSIBLE_BLOCK),
            kind::SETTINGS | kind::PING => (flag::ACK, PLAUSIBLE_OTHER),
            kind::PRIORITY | kind::RST_STREAM | kind::GOAWAY | kind::WINDOW_UPDATE | kind::ALTSVC => {
                (0, PLAUSIBLE_OTHER)
            }
            kind::ORIGIN | kind::PRIORITY_UPDATE if self.stream == 0 => (0, PLAUSIBLE_OTHER),
            _ => return false,
        };
        !self.reserved && self.flags & !flags == 0 && self.check(longest).is_ok()
    }

    /// Returns whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Returns whether a frame that fails [`check`](Self::check) ends no more than its stream (RFC 9113 section 4.2).
    pub(super) fn ends_stream_only(&self, code: ErrorCode) -> bool {
        code == ErrorCode::FrameSize && matches!(self.kind, kind::DATA | kind::PRIORITY)
    }

    /// Returns how many bytes of fixed fields a payload begins with: for SETTINGS, those of one entry.
    pub(super) fn fixed_length(&self) -> u32 {
        let padded = u32::from(self.has(flag::PADDED));
        match self.kind {
            kind::DATA => padded,
            kind::HEADERS => padded + if self.has(flag::PRIORITY) { 5 } else { 0 },
            kind::PRIORITY => 5,
            kind::RST_STREAM | kind::WINDOW_UPDATE => 4,
            kind::SETTINGS => 6,
            kind::PUSH_PROMISE => padded + 4,
            kind::PING | kind::GOAWAY => 8,
            _ => 0,
        }
    }

    fn length_fits_kind(&self) -> bool {
        let fixed = self.fixed_length();
        match self.kind {
            kind::PRIORITY | kind::RST_STREAM | kind::PING | kind::WINDOW_UPDATE => self.length == fixed,
            kind::SETTINGS if self.has(flag::ACK) => self.length == 0,
            kind::SETTINGS => self.length.is_multiple_of(fixed),
            _ => self.length >= fixed,
        }
    }
}

#[cfg(test)]
mod tests {
    //! What each kind of frame may be.

    use super::*;

    const MAX: u32 = 0xff_ffff;

    fn header(length: u32, kind: u8, flags: u8, stream: u32) -> Header {
        Header {
            length,
            kind,
            flags,
            stream,
            reserved: false,
        }
    }

    fn check(length: u32, kind: u8, flags: u8, stream: u32) -> Option<ErrorCode> {
        header(length, kind, flags, stream).check(MAX).err()
    }

    #[test]
    fn the_nine_bytes_are_read_at_their_bounds() {
        let parsed = Header::parse(&[0xff, 0xff, 0xfe, 0xfd, 0xfc, 0xff, 0xff, 0xff, 0xfb]);
        let expected = Header {
            reserved: true,
            ..header(0xff_fffe, 0xfd, 0xfc, 0x7fff_fffb)
        };
        assert_eq!(parsed, expected);
        assert_eq!(Header::parse(&[0; 9]), header(0, 0, 0, 0));
    }

    #[test]
    fn a_kind_is_on_a_stream_or_on_the_connection() {
        for (kind, length) in [(0, 0), (1, 0), (2, 5), (3, 4), (5, 4), (9, 0)] {
            assert_eq!(check(length, kind, 0, 0), Some(ErrorCode::Protocol), "kind {kind}");
            assert_eq!(check(length, kind, 0, 1), None, "kind {kind}");
        }
        for (kind, length) in [(4, 0), (6, 8), (7, 8)] {
            assert_eq!(check(length, kind, 0, 1), Some(ErrorCode::Protocol), "kind {kind}");
            assert_eq!(check(length, kind, 0, 0), None, "kind {kind}");
        }
        for (kind, length) in [(8, 4), (0xa, 0), (0xff, 0)] {
            assert_eq!((check(length, kind, 0, 0), check(length, kind, 0, 1)), (None, None));
        }
    }

    #[test]
    fn a_length_is_the_one_its_kind_has() {
        for (kind, stream, length) in [(2, 1, 5), (3, 1, 4), (6, 0, 8), (8, 0, 4)] {
            for wrong in [0, length - 1, length + 1] {
                assert_eq!(check(wrong, kind, 0, stream), Some(ErrorCode::FrameSize), "kind {kind}");
            }
        }
        for (kind, flags, stream, least) in [(0, 8, 1, 1), (1, 8, 1, 1), (1, 0x28, 1, 6), (5, 8, 1, 5), (7, 0, 0, 8)] {
            assert_eq!(check(least - 1, kind, flags, stream), Some(ErrorCode::FrameSize));
            assert_eq!(check(least, kind, flags, stream), None);
        }
        for (flags, length, wrong) in [(0, 0, false), (0, 5, true), (0, 6, false), (1, 0, false), (1, 6, true)] {
            assert_eq!(
                check(length, 4, flags, 0).is_some(),
                wrong,
                "{length} bytes of SETTINGS"
            );
        }
    }

    #[test]
    fn a_frame_is_as_long_as_the_peer_takes_it() {
        assert_eq!(header(16384, 0, 0, 1).check(16384), Ok(()));
        assert_eq!(header(16385, 0, 0, 1).check(16384), Err(ErrorCode::FrameSize));
        assert_eq!(header(16385, 0xff, 0, 1).check(16384), Err(ErrorCode::FrameSize));
    }

    #[test]
    fn an_everyday_frame_is_plausible() {
        for (length, kind, flags, stream) in [
            (1 << 20, 0, 9, 1),
            (1 << 16, 1, 0x2d, 1),
            (5, 2, 0, 3),
            (4, 3, 0, 3),
            (1 << 14, 5, 0xc, 2),
            (8, 6, 1, 0),
            (1 << 14, 7, 0, 0),
            (4, 8, 0, 0x7fff_ffff),
            (1 << 16, 9, 4, 1),
            (0, 4, 1, 0),
            (1 << 14, 0xa, 0, 1),
            (1 << 14, 0xc, 0, 0),
            (1 << 14, 0x10, 0, 0),
        ] {
            assert!(header(length, kind, flags, stream).is_plausible(), "kind {kind}");
        }
    }

    #[test]
    fn a_plausible_frame_has_no_flag_that_its_kind_does_not_define() {
        for (length, kind, stream, defined) in [
            (6, 0, 1, 0x9),
            (6, 1, 1, 0x2d),
            (5, 2, 1, 0),
            (4, 3, 1, 0),
            (0, 4, 0, 0x1),
            (6, 5, 1, 0xc),
            (8, 6, 0, 0x1),
            (8, 7, 0, 0),
            (4, 8, 0, 0),
            (6, 9, 1, 0x4),
            (6, 0xa, 0, 0),
            (6, 0xc, 0, 0),
            (6, 0x10, 0, 0),
        ] {
            for flags in 0..=u8::MAX {
                let plausible = header(length, kind, flags, stream).is_plausible();
                assert_eq!(plausible, flags & !defined == 0, "kind {kind}, flags {flags:#x}");
            }
        }
    }

    #[test]
    fn bytes_that_no_sender_would_send_are_not_plausible() {
        for (length, kind, flags, stream) in [
            (0, 0, 0, 0),
            ((1 << 20) + 1, 0, 0, 1),
            ((1 << 16) + 1, 1, 0, 1),
            ((1 << 16) + 1, 9, 0, 1),
            ((1 << 14) + 1, 7, 0, 0),
            ((1 << 14) + 1, 0xa, 0, 0),
            (1 << 14, 4, 0, 0),
            (0, 0, 4, 1),
            (0, 1, 0x40, 1),
            (5, 2, 1, 1),
            (8, 6, 2, 0),
            (0, 9, 1, 1),
            (4, 8, 1, 0),
            (0, 0xb, 0, 0),
            (0, 0xc, 0, 1),
            (0, 0x10, 0, 1),
            (0, 0x11, 0, 0),
        ] {
            let header = header(length, kind, flags, stream);
            assert!(!header.is_plausible(), "{header:?}");
        }
        let reserved = Header {
            reserved: true,
            ..header(0, 1, 4, 1)
        };
        assert!(!reserved.is_plausible());
    }
}
