//! Where and when the parts of each stream are on a tape: header blocks and ends, which give the times that an exchange must
//! have, and which of its parts are behind a position or in a gap.

use std::collections::BTreeMap;
use std::ops::Range;

use http_decode::{Ended, Timestamp};

use crate::frame::{DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PUSH_PROMISE, RST_STREAM};
use crate::tape::{Lane, Tape};

/// The parts of one stream on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire {
    /// The header block of the request; that of a promised request is among the responses.
    pub(crate) request: Option<Range<usize>>,
    pub(crate) is_promised: bool,
    /// Absent for a promise.
    pub(crate) request_ended_at: Option<Timestamp>,
    /// Header blocks of the response: 1xx, final, trailers.
    pub(crate) response: Vec<Range<usize>>,
    /// The first end that either side sent.
    pub(crate) end: Option<(Timestamp, Ended)>,
    pub(crate) began: Timestamp,
    /// When each header block of the response was complete.
    pub(crate) block_at: Vec<Timestamp>,
}

impl Wire {
    /// Returns whether all of it is behind these positions in requests and in responses.
    pub(crate) fn is_behind(&self, [requests, responses]: [usize; 2]) -> bool {
        let request = if self.is_promised { responses } else { requests };
        self.request.as_ref().is_some_and(|block| block.start >= request)
            && self.response.iter().all(|block| block.start >= responses)
    }
}

pub(crate) fn streams(tape: &Tape) -> BTreeMap<u64, Wire> {
    let mut streams = BTreeMap::new();
    read(&tape.requests, 0, &mut streams);
    read(&tape.responses, 1, &mut streams);
    streams
}

fn read(lane: &Lane, side: usize, streams: &mut BTreeMap<u64, Wire>) {
    let frames = lane.frames();
    for (index, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.stream != 0) {
        let wire = streams.entry(u64::from(frame.stream)).or_default();
        let block = block(&frames[index..]);
        let end = if frame.kind == HEADERS {
            block.end
        } else {
            frame.range.end
        };
        if matches!(frame.kind, DATA | HEADERS) && frame.has(END_STREAM) {
            match side {
                0 => wire.request_ended_at = Some(lane.at(end - 1)),
                _ => end_at(wire, lane.at(end - 1), Ended::Complete),
            }
        }
        match frame.kind {
            RST_STREAM => end_at(wire, lane.at(end - 1), Ended::Reset),
            HEADERS if side == 0 && wire.request.is_none() => begin(wire, lane, block),
            HEADERS if side == 1 => {
                wire.block_at.push(lane.at(block.end - 1));
                wire.response.push(block);
            }
            PUSH_PROMISE => {
                let promised = frame.promised().expect("it is a promise");
                let wire = streams.entry(u64::from(promised)).or_default();
                wire.is_promised = true;
                begin(wire, lane, block);
            }
            _ => {}
        }
    }
}

fn begin(wire: &mut Wire, lane: &Lane, block: Range<usize>) {
    wire.began = lane.at(block.start);
    wire.request = Some(block);
}

fn end_at(wire: &mut Wire, at: Timestamp, ended: Ended) {
    if wire.end.is_none_or(|(earlier, _)| at < earlier) {
        wire.end = Some((at, ended));
    }
}

/// Returns the range of the header block that begins with the first frame.
fn block(frames: &[Frame<'_>]) -> Range<usize> {
    let last = frames.iter().find(|frame| frame.has(END_HEADERS)).unwrap_or(&frames[0]);
    frames[0].range.start..last.range.end
}
