//! Parsing one whole frame (RFC 9113 section 6), for inspection and as a reference for the reader.
//!
//! What section 6 calls an error of the connection or of the stream is an error here, with the code that it names.

use super::error::ErrorCode;
use super::header::{Header, flag, kind};

/// The payload of a frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Payload<'a> {
    /// Content (section 6.1).
    Data {
        /// The content.
        content: &'a [u8],
        /// The padding, if the frame has any, possibly of no bytes.
        padding: Option<&'a [u8]>,
    },
    /// The beginning of a header block (section 6.2).
    Headers {
        /// The priority fields, if they are there.
        priority: Option<Priority>,
        /// This frame's part of the header block.
        fragment: &'a [u8],
        /// The padding, if the frame has any, possibly of no bytes.
        padding: Option<&'a [u8]>,
    },
    /// A priority signal (section 6.3).
    Priority(Priority),
    /// The reset of a stream (section 6.4).
    Reset {
        /// The error code, known or not.
        code: u32,
    },
    /// Parameters (section 6.5).
    Settings {
        /// Identifiers and values, in their order.
        entries: Vec<(u16, u32)>,
    },
    /// The beginning of the header block of a promised request (section 6.6).
    PushPromise {
        /// The stream it is promised on.
        promised: u32,
        /// This frame's part of the header block.
        fragment: &'a [u8],
        /// The padding, if the frame has any, possibly of no bytes.
        padding: Option<&'a [u8]>,
    },
    /// A measurement of the round-trip time (section 6.7).
    Ping {
        /// The data that the acknowledgement repeats.
        data: [u8; 8],
    },
    /// The shutdown of the connection (section 6.8).
    GoAway {
        /// The last stream that was or might be acted upon.
        last_stream: u32,
        /// The error code, known or not.
        code: u32,
        /// Debug data.
        debug: &'a [u8],
    },
    /// More flow-control window (section 6.9).
    WindowUpdate {
        /// Bytes, from 1 to 2^31-1.
        increment: u32,
    },
    /// More of a header block (section 6.10).
    Continuation {
        /// This frame's part of it.
        fragment: &'a [u8],
    },
    /// A frame type that RFC 9113 does not define.
    Unknown {
        /// All of it.
        payload: &'a [u8],
    },
}

/// The priority fields (RFC 9113 section 6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Priority {
    /// Whether the stream is the only one to depend on the other.
    pub exclusive: bool,
    /// The stream it depends on.
    pub dependency: u32,
    /// The weight, from 1 to 256: one more than the number on the wire.
    pub weight: u16,
}

/// Parses one whole frame.
///
/// # Errors
///
/// The code that RFC 9113 names; [`ErrorCode::FrameSize`] if `payload` is not as long as the header says.
pub fn parse<'a>(header: &Header, payload: &'a [u8], max_frame_size: u32) -> Result<Payload<'a>, ErrorCode> {
    header.check(max_frame_size)?;
    if u32::try_from(payload.len()) != Ok(header.length) {
        return Err(ErrorCode::FrameSize);
    }
    Ok(match header.kind {
        kind::DATA => {
            let (content, padding) = unpad(header, payload)?;
            Payload::Data { content, padding }
        }
        kind::HEADERS => parse_headers(header, payload)?,
        kind::PRIORITY => Payload::Priority(parse_priority(payload)?.0),
        kind::RST_STREAM => Payload::Reset { code: word(payload)?.0 },
        kind::SETTINGS => Payload::Settings {
            entries: parse_settings(payload)?,
        },
        kind::PUSH_PROMISE => parse_push_promise(header, payload)?,
        kind::PING => Payload::Ping {
            data: payload.try_into().or(Err(ErrorCode::FrameSize))?,
        },
        kind::GOAWAY => parse_goaway(payload)?,
        kind::WINDOW_UPDATE => match identifier(payload)?.0 {
            0 => return Err(ErrorCode::Protocol),
            increment => Payload::WindowUpdate { increment },
        },
        kind::CONTINUATION => Payload::Continuation { fragment: payload },
        _ => Payload::Unknown { payload },
    })
}

/// Checks the value of a parameter (RFC 9113 section 6.5.2, RFC 8441 section 3).
pub(super) fn check_setting(identifier: u16, value: u32) -> Result<(), ErrorCode> {
    let (good, code) = match identifier {
        setting::ENABLE_PUSH | setting::ENABLE_CONNECT_PROTOCOL => (value <= 1, ErrorCode::Protocol),
        setting::INITIAL_WINDOW_SIZE => (value < 1 << 31, ErrorCode::FlowControl),
        setting::MAX_FRAME_SIZE => ((1 << 14..1 << 24).contains(&value), ErrorCode::Protocol),
        _ => (true, ErrorCode::Protocol),
    };
    if good { Ok(()) } else { Err(code) }
}

/// Identifiers of parameters.
pub(super) mod setting {
    pub(in super::super) const HEADER_TABLE_SIZE: u16 = 1;
    pub(super) const ENABLE_PUSH: u16 = 2;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(in super::super) const MAX_FRAME_SIZE: u16 = 5;
    pub(in super::super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

fn parse_headers<'a>(header: &Header, payload: &'a [u8]) -> Result<Payload<'a>, ErrorCode> {
    let (rest, padding) = unpad(header, payload)?;
    let (priority, fragment) = if header.has(flag::PRIORITY) {
        // The frame is long enough, so the padding takes up the missing bytes.
        let (priority, fragment) = parse_priority(rest).or(Err(ErrorCode::Protocol))?;
        (Some(priority), fragment)
    } else {
        (None, rest)
    };
    Ok(Payload::Headers {
        priority,
        fragment,
        padding,
    })
}

fn parse_push_promise<'a>(header: &Header, payload: &'a [u8]) -> Result<Payload<'a>, ErrorCode> {
    let (rest, padding) = unpad(header, payload)?;
    let (promised, fragment) = identifier(rest).or(Err(ErrorCode::Protocol))?;
    if !is_promised(promised) {
        return Err(ErrorCode::Protocol);
    }
    Ok(Payload::PushPromise {
        promised,
        fragment,
        padding,
    })
}

/// Returns whether a server may promise a stream: its streams have even identifiers (RFC 9113 section 5.1.1).
pub(super) fn is_promised(stream: u32) -> bool {
    stream != 0 && stream.is_multiple_of(2)
}

fn parse_goaway(payload: &[u8]) -> Result<Payload<'_>, ErrorCode> {
    let (last_stream, rest) = identifier(payload)?;
    let (code, debug) = word(rest)?;
    Ok(Payload::GoAway {
        last_stream,
        code,
        debug,
    })
}

fn parse_settings(payload: &[u8]) -> Result<Vec<(u16, u32)>, ErrorCode> {
    let entries = payload.as_chunks::<6>().0.iter().map(|&[i0, i1, v0, v1, v2, v3]| {
        let entry = (u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3]));
        check_setting(entry.0, entry.1).map(|()| entry)
    });
    entries.collect()
}

fn parse_priority(bytes: &[u8]) -> Result<(Priority, &[u8]), ErrorCode> {
    let (dependency, rest) = word(bytes)?;
    let (&weight, rest) = rest.split_first().ok_or(ErrorCode::FrameSize)?;
    let priority = Priority {
        exclusive: dependency >> 31 != 0,
        dependency: dependency & STREAM,
        weight: u16::from(weight) + 1,
    };
    Ok((priority, rest))
}

/// Splits a payload into what is between the pad length and the padding, and the padding.
fn unpad<'a>(header: &Header, payload: &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), ErrorCode> {
    if !header.has(flag::PADDED) {
        return Ok((payload, None));
    }
    let (&padding, rest) = payload.split_first().ok_or(ErrorCode::FrameSize)?;
    let content = rest.len().checked_sub(padding.into()).ok_or(ErrorCode::Protocol)?;
    let (content, padding) = rest.split_at_checked(content).ok_or(ErrorCode::Protocol)?;
    Ok((content, Some(padding)))
}

/// The bits of a stream identifier, and of an increment.
const STREAM: u32 = 0x7fff_ffff;

fn identifier(bytes: &[u8]) -> Result<(u32, &[u8]), ErrorCode> {
    word(bytes).map(|(word, rest)| (word & STREAM, rest))
}

fn word(bytes: &[u8]) -> Result<(u32, &[u8]), ErrorCode> {
    let (&word, rest) = bytes.split_first_chunk().ok_or(ErrorCode::FrameSize)?;
    Ok((u32::from_be_bytes(word), rest))
}

#[cfg(test)]
mod tests {
    //! What the public frame cases do not cover.

    use super::*;

    fn parse_at(wire: &[u8], max_frame_size: u32) -> Result<Payload<'_>, ErrorCode> {
        let (header, payload) = wire.split_first_chunk().unwrap();
        parse(&Header::parse(header), payload, max_frame_size)
    }

    #[test]
    fn padding_may_fill_the_frame_and_not_a_byte_more() {
        let full = parse_at(&[0, 0, 3, 0, 8, 0, 0, 0, 1, 2, 0, 0], 16384);
        let expected = Payload::Data {
            content: &[],
            padding: Some(&[0, 0]),
        };
        assert_eq!(full, Ok(expected));
        let more = parse_at(&[0, 0, 3, 0, 8, 0, 0, 0, 1, 3, 0, 0], 16384);
        assert_eq!(more, Err(ErrorCode::Protocol));
    }

    #[test]
    fn padding_does_not_take_the_fixed_fields() {
        let headers = [0, 0, 7, 1, 0x2c, 0, 0, 0, 1, 1, 0x80, 0, 0, 3, 255, 0];
        let expected = Payload::Headers {
            priority: Some(Priority {
                exclusive: true,
                dependency: 3,
                weight: 256,
            }),
            fragment: &[],
            padding: Some(&[0]),
        };
        assert_eq!(parse_at(&headers, 16384), Ok(expected));
        let headers = [0, 0, 7, 1, 0x2c, 0, 0, 0, 1, 2, 0x80, 0, 0, 3, 255, 0];
        assert_eq!(parse_at(&headers, 16384), Err(ErrorCode::Protocol));
        let promise = [0, 0, 5, 5, 0xc, 0, 0, 0, 1, 1, 0, 0, 0, 2];
        assert_eq!(parse_at(&promise, 16384), Err(ErrorCode::Protocol));
    }

    #[test]
    fn a_payload_is_as_long_as_its_header_says() {
        assert_eq!(
            parse_at(&[0, 0, 2, 9, 4, 0, 0, 0, 1, 7], 16384),
            Err(ErrorCode::FrameSize)
        );
        assert_eq!(
            parse_at(&[0, 0, 0, 9, 4, 0, 0, 0, 1, 7], 16384),
            Err(ErrorCode::FrameSize)
        );
    }

    #[test]
    fn the_values_of_parameters_are_checked_at_their_bounds() {
        for (identifier, good, bad) in [
            (setting::ENABLE_PUSH, 1, 2),
            (setting::INITIAL_WINDOW_SIZE, 0x7fff_ffff, 0x8000_0000),
            (setting::MAX_FRAME_SIZE, 16384, 16383),
            (setting::MAX_FRAME_SIZE, 0xff_ffff, 0x100_0000),
            (setting::ENABLE_CONNECT_PROTOCOL, 1, 2),
        ] {
            assert_eq!(check_setting(identifier, good), Ok(()));
            let code = if identifier == setting::INITIAL_WINDOW_SIZE {
                ErrorCode::FlowControl
            } else {
                ErrorCode::Protocol
            };
            assert_eq!(check_setting(identifier, bad), Err(code));
        }
        assert_eq!(check_setting(0xffff, u32::MAX), Ok(()));
        let window = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 0];
        assert_eq!(parse_at(&window, 16384), Err(ErrorCode::FlowControl));
    }

    #[test]
    fn a_frame_of_an_unknown_type_keeps_its_payload() {
        let unknown = parse_at(&[0, 0, 1, 0xfe, 0xff, 0, 0, 0, 1, 7], 16384);
        assert_eq!(unknown, Ok(Payload::Unknown { payload: &[7] }));
    }
}
