//! A captured conversation: calls with positions, cut into chunks, and in any order.

use std::collections::BTreeSet;
use std::ops::Range;

use http_decode::{Chunk, Connection, Direction, Ended, Gap, GapCause, Output, STRETCH, Settings, Side, Timestamp};

use crate::conversation::converse;
use crate::frame::{Frame, frames};
use crate::plan::Plan;
use crate::random::Random;
use crate::received::Streams;
use crate::rewrite::{Rewritten, rewrite};

/// A captured conversation, and what the peers received.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    pub(crate) side: Side,
    pub(crate) streams: Streams,
    pub(crate) requests: Lane,
    pub(crate) responses: Lane,
}

/// One direction of it.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
    pub(crate) calls: Vec<Call>,
}

/// One read or write call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) at: u64,
    pub(crate) range: Range<usize>,
}

impl Call {
    /// Splits it at these positions, with later times for later parts.
    fn split(&self, cuts: &[usize]) -> Vec<Self> {
        let Range { start, end } = self.range;
        let within = cuts.iter().copied().filter(|cut| (start + 1..end).contains(cut));
        let mut starts = vec![start];
        starts.extend(within);
        let ends = starts.iter().skip(1).copied().chain([end]);
        let parts = (self.at * 10_000..).zip(starts.iter().copied().zip(ends));
        parts.map(|(at, (start, end))| Self { at, range: start..end }).collect()
    }
}

/// A part of a call.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) direction: Direction,
    pub(crate) at: u64,
    pub(crate) range: Range<usize>,
    pub(crate) call_start: bool,
    /// Whether it never arrives.
    pub(crate) is_lost: bool,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {} bytes, {:?}", self.direction, self.bytes.len(), self.calls)
    }
}

impl Lane {
    /// Returns when the byte at a position was captured.
    pub(crate) fn at(&self, place: usize) -> Timestamp {
        let call = self.calls.partition_point(|call| call.range.end <= place);
        Timestamp(self.calls[call].at)
    }

    /// Returns the position of the first call after `joined` that begins with a frame, or the end.
    fn first_boundary(&self, joined: u64) -> usize {
        let frames = self.frames();
        let later = self.calls.iter().filter(|call| call.at > joined);
        let mut starts = later.map(|call| call.range.start);
        let step = starts.find(|start| frames.iter().any(|frame| frame.range.start == *start));
        step.unwrap_or(self.bytes.len())
    }

    pub(crate) fn frames(&self) -> Vec<Frame<'_>> {
        frames(&self.bytes)
    }
}

impl Tape {
    /// Runs the conversation, and rewrites what the peers sent.
    pub(crate) fn record(plan: &Plan) -> Self {
        let (calls, streams) = converse(plan);
        let lane = |direction| {
            let calls: Vec<_> = calls.iter().filter(|call| call.direction == direction).collect();
            let bytes = calls
                .iter()
                .flat_map(|call| call.bytes.iter().copied())
                .collect::<Vec<_>>();
            let rewritten = rewrite(&bytes, plan.rewrite);
            Lane {
                direction,
                calls: place(&rewritten, calls.iter().map(|call| (call.at, call.bytes.len()))),
                bytes: rewritten.bytes,
            }
        };
        let (read, write) = (lane(Direction::Read), lane(Direction::Write));
        let (requests, responses) = match plan.traced {
            Side::Server => (read, write),
            Side::Client => (write, read),
        };
        Self {
            side: plan.traced,
            streams,
            requests,
            responses,
        }
    }

    /// Returns the positions where the captured bytes begin if nothing is captured up to `joined`.
    pub(crate) fn origins(&self, joined: u64) -> [usize; 2] {
        [&self.requests, &self.responses].map(|lane| {
            let first = lane
                .calls
                .iter()
                .find(|call| call.at > joined && !call.range.is_empty());
            first.map_or(lane.bytes.len(), |call| call.range.start)
        })
    }

    /// Returns the positions of the first frame boundaries then.
    pub(crate) fn first_boundaries(&self, joined: u64) -> [usize; 2] {
        [&self.requests, &self.responses].map(|lane| lane.first_boundary(joined))
    }

    fn lane(&self, direction: Direction) -> &Lane {
        if self.requests.direction == direction {
            &self.requests
        } else {
            &self.responses
        }
    }

    /// Returns a time after everything.
    pub(crate) fn end(&self) -> Timestamp {
        let last = [&self.requests, &self.responses].map(|lane| lane.calls.last().map_or(0, |call| call.at));
        Timestamp(last[0].max(last[1]) + 10)
    }

    /// Splits the calls where frames and payloads begin.
    pub(crate) fn split_calls(&mut self) {
        for lane in [&mut self.requests, &mut self.responses] {
            let frames = lane.frames();
            let starts = frames.iter().map(|frame| frame.range.start);
            let payloads = frames.iter().map(|frame| frame.range.end.min(frame.range.start + 9));
            let mut cuts: Vec<usize> = starts.chain(payloads).collect();
            cuts.sort_unstable();
            cuts.dedup();
            lane.calls = lane.calls.iter().flat_map(|call| call.split(&cuts)).collect();
        }
    }

    /// Returns the times of all calls.
    pub(crate) fn times(&self) -> BTreeSet<u64> {
        let calls = self.requests.calls.iter().chain(&self.responses.calls);
        calls.map(|call| call.at).collect()
    }

    /// Cuts the calls into chunks of these sizes, in the order of capture.
    pub(crate) fn pieces(&self, sizes: &[usize]) -> Vec<Piece> {
        let mut sizes = sizes.iter().copied().cycle();
        let mut pieces = Vec::new();
        for lane in [&self.requests, &self.responses] {
            for call in &lane.calls {
                let mut start = call.range.start;
                while start < call.range.end {
                    let size = sizes.next().unwrap_or(usize::MAX).clamp(1, call.range.end - start);
                    pieces.push(Piece {
                        direction: lane.direction,
                        at: call.at,
                        range: start..start + size,
                        call_start: start == call.range.start,
                        is_lost: false,
                    });
                    start += size;
                }
            }
        }
        pieces.sort_by_key(|piece| piece.at);
        pieces
    }
}

/// Returns calls of these lengths at the new positions of their bytes.
fn place(rewritten: &Rewritten, calls: impl Iterator<Item = (u64, usize)>) -> Vec<Call> {
    let mut old = 0;
    let mut placed = Vec::new();
    for (at, length) in calls {
        let start = rewritten.place(old);
        old += length;
        placed.push(Call {
            at,
            range: start..rewritten.place(old),
        });
    }
    if let Some(last) = placed.last_mut() {
        last.range.end = rewritten.bytes.len();
    }
    placed
}

/// A connection that chunks of a tape are pushed into.
pub(crate) struct Decoding<'a> {
    tape: &'a Tape,
    /// Where tracing began, in requests and in responses.
    origins: [usize; 2],
    /// The ends of gaps of unknown length.
    uncounted: Vec<(Direction, usize)>,
    connection: Connection,
    outputs: Vec<Output>,
}

impl<'a> Decoding<'a> {
    pub(crate) fn new(tape: &'a Tape, origins: [usize; 2], settings: Settings) -> Self {
        Self {
            tape,
            origins,
            uncounted: Vec::new(),
            connection: Connection::new(settings),
            outputs: Vec::new(),
        }
    }

    /// Makes the gaps of unknown length.
    pub(crate) fn forget_lengths(&mut self, pieces: &[Piece]) {
        let lost = pieces.iter().filter(|piece| piece.is_lost);
        self.uncounted = lost.map(|piece| (piece.direction, piece.range.end)).collect();
    }

    fn stretch(&self, direction: Direction, place: usize) -> u64 {
        let before = |(lost, end): &&(Direction, usize)| *lost == direction && *end <= place;
        self.uncounted.iter().filter(before).count() as u64
    }

    pub(crate) fn push(&mut self, piece: &Piece) {
        let lane = self.tape.lane(piece.direction);
        let chunk = Chunk {
            position: self.position(piece),
            at: Timestamp(piece.at),
            origin: 7,
            call_start: piece.call_start,
            bytes: &lane.bytes[piece.range.clone()],
        };
        self.connection.push(piece.direction, chunk);
        self.drain();
    }

    fn position(&self, piece: &Piece) -> u64 {
        self.place(piece.direction, piece.range.start)
    }

    fn place(&self, direction: Direction, place: usize) -> u64 {
        let [requests, responses] = self.origins;
        let origin = if direction == self.tape.requests.direction {
            requests
        } else {
            responses
        };
        (place - origin) as u64 + self.stretch(direction, place) * STRETCH
    }

    /// Advances the time.
    pub(crate) fn tick(&mut self, at: u64) {
        self.connection.tick(Timestamp(at));
        self.drain();
    }

    pub(crate) fn settle(&mut self, at: u64) {
        self.connection.settle(Timestamp(at));
        self.drain();
    }

    /// Reports a chunk that will not arrive as a gap.
    pub(crate) fn report_gap(&mut self, lost: &Piece) {
        let gap = Gap {
            direction: lost.direction,
            position: self.position(lost),
            span: lost.range.len() as u64
                + (self.stretch(lost.direction, lost.range.end) - self.stretch(lost.direction, lost.range.start))
                    * STRETCH,
            cause: GapCause::Lost,
            at: None,
        };
        self.connection.gap(gap);
        self.drain();
    }

    /// Settles, closes, and returns all outputs.
    pub(crate) fn end(mut self) -> Vec<Output> {
        let end = self.tape.end();
        self.connection.settle(end);
        self.drain();
        let ends = [Direction::Read, Direction::Write].map(|direction| {
            let end = self.tape.lane(direction).bytes.len();
            self.place(direction, end)
        });
        self.connection.close(end, Ended::Closed, Some(ends));
        self.drain();
        self.outputs
    }

    fn drain(&mut self) {
        self.outputs.extend(std::iter::from_fn(|| self.connection.poll()));
    }
}

/// Shuffles chunks, each within `reach` places of where it was.
pub(crate) fn disorder(pieces: &mut [Piece], reach: usize, seed: u64) {
    let mut random = Random::new(seed);
    for window in pieces.chunks_mut(reach.max(1)) {
        random.shuffle(window);
    }
}
