//! What must hold for all outputs of a tape: no exchange is missing, repeated, or wrong.

use std::collections::BTreeMap;
use std::ops::Range;

use http_decode::{End, Exchange, Output};
use proptest::prelude::*;

use crate::check::{self, Intact};
use crate::received::Received;
use crate::tape::{Lane, Piece, Tape};
use crate::wire::{self, Wire};

type Outcome = Result<(), TestCaseError>;

/// Expects every stream once and whole, and nothing else.
pub(crate) fn expect_all(tape: &Tape, outputs: &[Output]) -> Outcome {
    let found = check::by_stream(outputs)?;
    let ends: BTreeMap<u64, &End> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::End(end) => Some((end.ordinal, end.as_ref())),
            Output::Exchange(_) | Output::Gap(_) | Output::Undecoded(..) => None,
        })
        .collect();
    prop_assert_eq!(found.len() + ends.len(), outputs.len(), "{:?}", outputs);
    prop_assert!(
        found.keys().eq(tape.streams.keys()),
        "{:?} of {:?}",
        found,
        tape.streams
    );
    let wires = wire::streams(tape);
    for (stream, received) in &tape.streams {
        let (exchange, wire) = (found[stream][0], &wires[stream]);
        let end = ends.get(&exchange.ordinal).copied();
        check::whole(tape, exchange, end, received, wire).map_err(|error| explain(&error, exchange, received))?;
    }
    Ok(())
}

/// Expects nothing that is wrong.
pub(crate) fn expect_honest(tape: &Tape, outputs: &[Output], readable: &Readable) -> Outcome {
    let wires = wire::streams(tape);
    for (stream, halves) in check::by_stream(outputs)? {
        prop_assert!(tape.streams.contains_key(&stream), "{:?}", halves);
        let (received, wire) = (&tape.streams[&stream], &wires[&stream]);
        for exchange in halves {
            let checked = check::honest(exchange, received, wire, &readable.intact(wire));
            checked.map_err(|error| explain(&error, exchange, received))?;
        }
    }
    Ok(())
}

/// Expects no stream as two halves.
pub(crate) fn expect_once(outputs: &[Output]) -> Outcome {
    for (stream, halves) in check::by_stream(outputs)? {
        prop_assert_eq!(halves.len(), 1, "stream {}: {:?}", stream, halves);
    }
    Ok(())
}

/// Expects both halves of the streams that are wholly behind the first frame boundaries of both directions.
pub(crate) fn expect_later(tape: &Tape, outputs: &[Output], boundaries: [usize; 2]) -> Outcome {
    let found = check::by_stream(outputs)?;
    for (stream, wire) in wire::streams(tape) {
        if wire.is_behind(boundaries) && tape.streams[&stream].response.is_some() {
            let exchange = found.get(&stream).map(|halves| halves[0]);
            let both = exchange.map(|exchange| (exchange.request.is_some(), exchange.response.is_some()));
            prop_assert_eq!(both, Some((true, true)), "stream {}: {:?}", stream, exchange);
        }
    }
    Ok(())
}

fn explain(error: &TestCaseError, exchange: &Exchange, received: &Received) -> TestCaseError {
    TestCaseError::fail(format!("{error}: {exchange:?} of {received:?}"))
}

/// The range of each direction that must be decoded: from a frame boundary to the first missing byte.
pub(crate) struct Readable {
    requests: Range<usize>,
    responses: Range<usize>,
}

impl Readable {
    pub(crate) fn of(tape: &Tape, pieces: &[Piece], [requests, responses]: [usize; 2]) -> Self {
        Self {
            requests: requests..captured_until(&tape.requests, pieces, requests),
            responses: responses..captured_until(&tape.responses, pieces, responses),
        }
    }

    fn intact(&self, wire: &Wire) -> Intact {
        let holds = |lane: &Range<usize>, block: &Range<usize>| lane.start <= block.start && block.end <= lane.end;
        let request = if wire.is_promised {
            &self.responses
        } else {
            &self.requests
        };
        Intact {
            request: wire.request.as_ref().is_some_and(|block| holds(request, block)),
            response: wire.response.iter().all(|block| holds(&self.responses, block)),
        }
    }
}

fn captured_until(lane: &Lane, pieces: &[Piece], from: usize) -> usize {
    let captured = pieces
        .iter()
        .filter(|piece| piece.direction == lane.direction && !piece.is_lost);
    let mut ranges: Vec<_> = captured.map(|piece| piece.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    ranges.iter().fold(
        from,
        |end, range| {
            if range.start <= end { end.max(range.end) } else { end }
        },
    )
}
