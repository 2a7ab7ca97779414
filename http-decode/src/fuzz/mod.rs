//! Properties that hold for any input: the bodies of the fuzz targets, which the property tests share.
//!
//! Each function takes arbitrary bytes, and panics if its property does not hold.

mod connection;
mod http2;
mod operation;
mod outputs;

use self::operation::{Operation, operations};
use crate::h2::hpack::{Bounds, Decoder, Error};
use crate::reassembly::Reassembler;
use crate::{Chunk, Direction, Gap, GapCause, Limits, Timestamp};

/// Pushes chunks, leaves gaps, settles and closes as `data` says, and checks that memory stays within the limit.
///
/// An operation is a byte for its kind, a byte for its length, and its bytes.
pub fn connection(data: &[u8]) {
    connection::connection(data);
}

/// Inserts chunks whose bytes depend on their positions, and checks that each byte is taken once and in order.
pub fn reassembly(data: &[u8]) {
    let limits = Limits {
        max_held_bytes: 300,
        max_held_chunks: 6,
        ..Limits::DEFAULT
    };
    let mut reassembler = Reassembler::new(Direction::Read);
    for pair in data.chunks_exact(3) {
        let &[kind, position, length] = pair else { return };
        let position = u64::from(position);
        let content = (position..position + u64::from(length % 64))
            .map(byte_at)
            .collect::<Vec<_>>();
        let chunk = Chunk {
            position,
            at: Timestamp(0),
            origin: 0,
            call_start: false,
            bytes: &content,
        };
        match kind & 3 {
            0 | 1 => {
                let inserted = reassembler.insert(chunk, &limits);
                assert!(
                    inserted.repeated + inserted.dropped <= content.len() as u64,
                    "more is counted than came"
                );
            }
            2 => {
                let gap = Gap {
                    direction: Direction::Read,
                    position,
                    span: u64::from(length),
                    cause: GapCause::OverLimit,
                    at: None,
                };
                reassembler.add_gap(&gap, &limits);
            }
            _ => assert!(
                reassembler.take_gap().is_none_or(|gap| gap.span > 0),
                "a gap is not empty"
            ),
        }
        take_some(&mut reassembler, usize::from(kind >> 2));
        assert!(
            reassembler.held_bytes() <= limits.max_held_bytes + limits.max_held_chunks * 96,
            "too much is held"
        );
    }
}

/// Decodes header blocks with a decoder that saw the beginning of the connection, and with one that joined late, has a
/// smaller table and loses blocks. Checks that the second decodes the same fields or fewer parts of them.
///
/// The first byte is the table size of the second decoder, in units of 16 bytes. Operations as above follow, each with a
/// block.
pub fn hpack(data: &[u8]) {
    let Some((&table, data)) = data.split_first() else {
        return;
    };
    let table = usize::from(table) * 16;
    let mut full = Decoder::from_start(65536);
    let mut late = Decoder::new(table);
    for Operation { kind, bytes } in operations(data) {
        let (expected, result) = decode_block(&mut full, bytes);
        let seen = match kind & 7 {
            0 => 0,
            1 => usize::from(kind >> 3).min(bytes.len()),
            _ => bytes.len(),
        };
        let (fields, late_result) = decode_block(&mut late, bytes.get(..seen).unwrap_or_default());
        if seen < bytes.len() {
            late.forget();
        } else {
            assert_eq!(late_result, result, "a block is as well-formed for both");
            assert_eq!(fields.len(), expected.len(), "a block has as many fields for both");
        }
        assert!(
            fields.len() <= expected.len(),
            "a part has no more fields than the whole"
        );
        for (part, whole) in fields.iter().flatten().zip(expected.iter().flatten()) {
            let agree = part.is_none() || whole.is_none() || part == whole;
            assert!(agree, "what is known to both is the same");
        }
        assert!(late.held_bytes() <= Decoder::max_held_bytes(table), "too much is held");
    }
}

/// The name and the value of a field, if they are known.
type Parts = [Option<Vec<u8>>; 2];

/// Decodes a block under small bounds, and counts the fields over the bounds too.
fn decode_block(decoder: &mut Decoder, block: &[u8]) -> (Vec<Parts>, Result<u32, Error>) {
    let bounds = Bounds {
        max_fields: 100,
        max_bytes: usize::MAX,
    };
    let mut fields = Vec::new();
    let result = decoder.decode(block, &bounds, |header| {
        fields.push([header.name.map(<[u8]>::to_vec), header.value.map(<[u8]>::to_vec)]);
    });
    (fields, result.map(|decoded| decoded.fields + decoded.over_limit))
}

/// Pushes HTTP/2 frames in any order, some of them in two calls, some lost, to a connection joined at any of them. Checks that
/// no exchange is emitted twice, even as two halves, and that none is closed before the connection is.
///
/// Three bytes are a frame or an event: its kind and how it is pushed, the stream, and the length.
pub fn http2(data: &[u8]) {
    http2::http2(data);
}

/// Reads one direction of HTTP/2 as a whole, in chunks, and with a gap, and checks that the events agree.
///
/// The first byte tells whether the client preface comes first, the next two give the lengths of chunks, the next four the
/// position and the length of the gap; the rest are frames.
pub fn frames(data: &[u8]) {
    crate::h2::frame::fuzz::frames(data);
}

/// Takes the next gap and bytes, and puts back all but `count` bytes.
fn take_some(reassembler: &mut Reassembler, count: usize) {
    if let Some(gap) = reassembler.take_known_gap() {
        assert_eq!(reassembler.next(), gap.position + gap.span, "a gap is stepped over");
    }
    let position = reassembler.next();
    if let Some(held) = reassembler.take() {
        let chunk = held.chunk(position);
        let expected = (position..).map(byte_at).take(chunk.bytes.len());
        assert!(
            chunk.bytes.iter().copied().eq(expected),
            "the bytes at {position} are others"
        );
        let count = count.min(chunk.bytes.len());
        reassembler.put_back(held, count);
        assert_eq!(
            reassembler.next(),
            position + count as u64,
            "exactly what was decoded is behind"
        );
    }
}

/// Returns the byte at a position.
fn byte_at(position: u64) -> u8 {
    position.to_le_bytes()[0].wrapping_mul(31)
}
