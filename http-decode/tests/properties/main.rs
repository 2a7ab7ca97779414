//! Properties of every conversation, however it is cut, shuffled, or full of gaps.
#![cfg(test)]

mod active;
mod content;
mod skips;
mod support;

use std::collections::BTreeSet;

use http_decode::{Connection, Direction, Ended, Exchange, Output, Settings, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use support::{
    Conversation, conversation, conversation_of, decode, drain, exchanges, id, lose_uncounted, push, request_id,
};

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_same_bytes_gives_every_exchange_whole(
        conversation in conversation(),
        cuts in proptest::collection::vec(1_usize..120, 1..20),
    ) {
        let whole = decode(&conversation.pieces(&[usize::MAX]), conversation.end());
        let cut = decode(&conversation.pieces(&cuts), conversation.end());
        prop_assert_eq!(&whole, &cut);
        expect_all(&conversation, &whole, Arrival::InOrder)?;
    }

    #[test]
    fn any_order_of_arrival_gives_every_exchange_whole(
        (conversation, pieces) in (conversation(), proptest::collection::vec(1_usize..120, 1..20))
            .prop_flat_map(|(conversation, cuts)| {
                let pieces = conversation.pieces(&cuts);
                (Just(conversation), Just(pieces).prop_shuffle())
            }),
    ) {
        expect_all(&conversation, &decode(&pieces, conversation.end()), Arrival::Shuffled)?;
    }

    #[test]
    fn a_gap_invents_no_head_and_no_pair(
        conversation in conversation(),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
        gaps in proptest::collection::vec(any::<Index>(), 1..4),
        settled in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let mut pieces = conversation.pieces(&cuts);
        for gap in gaps {
            let lost = gap.index(pieces.len());
            if !pieces[lost].shows_pipelining {
                pieces.remove(lost);
            }
        }
        let mut connection = Connection::new(Settings::default());
        let mut outputs = Vec::new();
        for (piece, settle) in pieces.iter().zip(settled.iter().cycle()) {
            push(&mut connection, piece);
            if *settle {
                connection.settle(Timestamp(piece.at));
            }
            outputs.extend(drain(&mut connection));
        }
        connection.close(conversation.end(), Ended::Closed, None);
        outputs.extend(drain(&mut connection));
        expect_honest(&conversation, &outputs)?;
    }

    #[test]
    fn nothing_is_joined_across_a_gap_of_unknown_length(
        conversation in conversation(),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
        gaps in proptest::collection::vec((any::<Index>(), any::<bool>()), 1..4),
        settled in proptest::collection::vec(any::<bool>(), 1..8),
    ) {
        let mut pieces = conversation.pieces(&cuts);
        let mut connection = Connection::new(Settings::default());
        let mut outputs = Vec::new();
        let mut reports = Vec::new();
        for (gap, reported) in gaps {
            let lost = gap.index(pieces.len());
            if !pieces[lost].shows_pipelining {
                let gap = lose_uncounted(&mut pieces, lost);
                reports.extend(reported.then_some((lost, gap)));
            }
        }
        for (index, (piece, settle)) in pieces.iter().zip(settled.iter().cycle()).enumerate() {
            for (_, gap) in reports.iter().filter(|(at, _)| *at == index) {
                connection.gap(*gap);
            }
            push(&mut connection, piece);
            if *settle {
                connection.settle(Timestamp(piece.at));
            }
            outputs.extend(drain(&mut connection));
        }
        connection.settle(conversation.end());
        connection.close(conversation.end(), Ended::Closed, None);
        outputs.extend(drain(&mut connection));
        expect_honest(&conversation, &outputs)?;
    }

    #[test]
    fn gaps_and_disorder_together_invent_nothing(
        (conversation, pieces) in (conversation(), proptest::collection::vec(1_usize..200, 1..20), any::<Index>())
            .prop_flat_map(|(conversation, cuts, gap)| {
                let mut pieces = conversation.pieces(&cuts);
                let lost = gap.index(pieces.len());
                if !pieces[lost].shows_pipelining {
                    pieces.remove(lost);
                }
                (Just(conversation), Just(pieces).prop_shuffle())
            }),
    ) {
        expect_honest(&conversation, &decode(&pieces, conversation.end()))?;
    }

    #[test]
    fn a_client_that_waits_is_paired_again_one_exchange_after_a_lost_call(
        conversation in conversation_of(true),
        lost in any::<Index>(),
    ) {
        let mut pieces = conversation.pieces(&[usize::MAX]);
        let lost = pieces.remove(lost.index(pieces.len()));
        let outputs = decode(&pieces, conversation.end());
        expect_honest(&conversation, &outputs)?;
        let whole = exchanges(&outputs)
            .iter()
            .filter(|exchange| exchange.response.is_some())
            .filter_map(|exchange| exchange.request.as_ref().map(|request| request_id(&request.head)))
            .collect::<BTreeSet<_>>();
        let touched = first_touched(&conversation, lost.at);
        for untouched in (0..conversation.known.len()).filter(|id| *id != touched && *id != touched + 1) {
            prop_assert!(whole.contains(&untouched), "{untouched} of {whole:?}, {touched} touched");
        }
    }

    #[test]
    fn no_bytes_panic_or_exceed_the_memory_limit(data in proptest::collection::vec(any::<u8>(), 0..3000)) {
        http_decode::fuzz::connection(&data);
    }

    #[test]
    fn no_http2_exchange_is_emitted_twice_or_closed_too_early(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        http_decode::fuzz::http2(&data);
    }

    #[test]
    fn the_reassembler_returns_every_byte_once_and_in_order(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        http_decode::fuzz::reassembly(&data);
    }
}

/// 256, unless the environment asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(256)
}

/// Returns the exchange that the call at `at` belongs to, for a client that does not pipeline.
fn first_touched(conversation: &Conversation, at: u64) -> usize {
    let heads = conversation
        .calls
        .iter()
        .filter(|call| call.direction == Direction::Read && is_head(&call.bytes))
        .take_while(|call| call.at <= at);
    heads.count() - 1
}

fn is_head(bytes: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD ", b"POST "]
        .iter()
        .any(|method| bytes.starts_with(method))
}

/// The order in which pieces arrive.
#[derive(Clone, Copy)]
enum Arrival {
    InOrder,
    Shuffled,
}

/// Expects every exchange, whole and in order, and nothing else.
fn expect_all(conversation: &Conversation, outputs: &[Output], arrival: Arrival) -> Result<(), TestCaseError> {
    let found = exchanges(outputs);
    prop_assert_eq!(found.len(), outputs.len(), "{:?}", outputs);
    prop_assert_eq!(found.len(), conversation.known.len());
    for (index, (exchange, known)) in found.iter().zip(&conversation.known).enumerate() {
        let Exchange {
            request: Some(request),
            response: Some(response),
            ended: Some(ended),
            ..
        } = exchange
        else {
            return Err(TestCaseError::fail(format!("a half: {exchange:?}")));
        };
        prop_assert_eq!((request_id(&request.head), id(&response.head.fields)), (index, index));
        // An exchange is emitted when its response has ended, with what had arrived of the request body by then.
        match arrival {
            Arrival::InOrder => prop_assert_eq!(request.body_bytes, Some(known.request_bytes)),
            Arrival::Shuffled => prop_assert!(request.body_bytes.is_some_and(|bytes| bytes <= known.request_bytes)),
        }
        prop_assert_eq!(response.body_bytes, Some(known.response_bytes));
        prop_assert_eq!(exchange.informational.len(), known.informational);
        prop_assert_eq!((*ended, exchange.ordinal), (Ended::Complete, index as u64 + 1));
    }
    Ok(())
}

/// Expects only exchanges of the conversation, each at most once, and only right pairs.
fn expect_honest(conversation: &Conversation, outputs: &[Output]) -> Result<(), TestCaseError> {
    let mut requests = BTreeSet::new();
    let mut responses = BTreeSet::new();
    for exchange in exchanges(outputs) {
        let request = exchange.request.as_ref().map(|request| request_id(&request.head));
        let response = exchange.response.as_ref().map(|response| id(&response.head.fields));
        if let Some(id) = request {
            prop_assert!(requests.insert(id) && id < conversation.known.len(), "request {id}");
        }
        if let Some(id) = response {
            prop_assert!(responses.insert(id) && id < conversation.known.len(), "response {id}");
            prop_assert!(request.is_none_or(|request| request == id), "{request:?} with {id}");
            let bytes = exchange.response.as_ref().and_then(|response| response.body_bytes);
            let known = conversation.known[id].response_bytes;
            let ended = matches!(exchange.ended, Some(Ended::Complete | Ended::Lost));
            prop_assert!(
                bytes.is_none_or(|bytes| if ended { bytes == known } else { bytes <= known }),
                "{exchange:?}"
            );
        }
    }
    Ok(())
}
