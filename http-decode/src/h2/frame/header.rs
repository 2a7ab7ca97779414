//! Frame headers (RFC 9113 section 4.1).
//!
//! [`Header::check`] is for a reader that is in sync: it rejects what section 6 forbids for the frame type. Where no frame
//! boundary is known, [`Header::is_plausible`] rejects everything that senders do not usually send.

use super::error::ErrorCode;

/// Frame types (RFC 9113 section 6), and the extensions that are in use.
pub mod kind {
    /// Content.
    pub const DATA: u8 = 0x0;
    /// The beginning of a header block.
    pub const HEADERS: u8 = 0x1;
    /// A priority signal, which RFC 9113 section 5.3.2 deprecates.
    pub const PRIORITY: u8 = 0x2;
    /// The reset of a stream.
    pub const RST_STREAM: u8 = 0x3;
    /// Parameters of the connection.
    pub const SETTINGS: u8 = 0x4;
    /// The beginning of the header block of a promised request.
    pub const PUSH_PROMISE: u8 = 0x5;
    /// A measurement of the round-trip time.
    pub const PING: u8 = 0x6;
    /// The shutdown of the connection.
    pub const GOAWAY: u8 = 0x7;
    /// More flow-control window.
    pub const WINDOW_UPDATE: u8 = 0x8;
    /// More of a header block.
    pub const CONTINUATION: u8 = 0x9;
    /// An alternative service (RFC 7838 section 4).
    pub const ALTSVC: u8 = 0xa;
    /// The origins of the connection (RFC 8336 section 2).
    pub const ORIGIN: u8 = 0xc;
    /// A priority update (RFC 9218 section 7.1).
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

/// The flags of a frame (RFC 9113 section 6).
pub mod flag {
    /// SETTINGS and PING: an acknowledgement.
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

/// Bytes of a plausible DATA frame: Go's servers accept frames of up to 1 MiB, and few senders use as much.
const PLAUSIBLE_DATA: u32 = 1 << 20;
/// Bytes of a header block in a plausible frame. Where the peer accepts larger frames, as nginx does, the whole block is in
/// one; a longer one is over the limit of what is decoded.
const PLAUSIBLE_BLOCK: u32 = 1 << 16;
/// Bytes of any other plausible frame: the size that every endpoint accepts.
const PLAUSIBLE_OTHER: u32 = 1 << 14;

/// A frame header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The length of the payload in bytes, below 2^24.
    pub length: u32,
    /// The frame type: one of [`kind`], or an unknown one.
    pub kind: u8,
    /// The flags, whose meaning depends on the type.
    pub flags: u8,
    /// The stream identifier, below 2^31; 0 stands for the connection.
    pub stream: u32,
    /// The reserved bit, which senders leave 0 and receivers ignore.
    pub reserved: bool,
}

impl Header {
    /// Parses nine bytes; any nine bytes are a header.
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

    /// Checks the stream and the length against the frame type (RFC 9113 section 6), and the size (section 4.2).
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

    /// Returns whether the nine bytes look like a frame header, for a reader that does not know where frames begin.
    ///
    /// This is stricter than [`check`](Self::check): the reserved bit is 0, the type is known, its undefined flags are 0, the
    /// stream fits the type, and the length is one that senders use. Of uniformly random bytes 1 in 390,000 pass.
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

    /// Returns whether a failed [`check`](Self::check) is an error of the stream only (RFC 9113 section 4.2).
    pub(super) fn ends_stream_only(&self, code: ErrorCode) -> bool {
        code == ErrorCode::FrameSize && matches!(self.kind, kind::DATA | kind::PRIORITY)
    }

    /// Returns the length of the fixed fields that the payload begins with; for SETTINGS, that of one entry.
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
    //! What each type of frame may be.

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
    fn a_frame_may_be_as_long_as_the_peer_accepts() {
        assert_eq!(header(16384, 0, 0, 1).check(16384), Ok(()));
        assert_eq!(header(16385, 0, 0, 1).check(16384), Err(ErrorCode::FrameSize));
        assert_eq!(header(16385, 0xff, 0, 1).check(16384), Err(ErrorCode::FrameSize));
    }

    #[test]
    fn a_usual_frame_is_plausible() {
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
    fn a_plausible_frame_has_no_flag_that_its_type_does_not_define() {
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
