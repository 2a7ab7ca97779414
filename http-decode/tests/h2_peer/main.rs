//! The crate `h2` as an independent peer: http-decode must decode from the bytes what h2 reports of a conversation.
#![cfg(test)]

mod check;
mod client;
mod conversation;
mod expect;
mod fields;
mod frame;
mod peer;
mod plan;
mod random;
mod received;
mod rewrite;
mod server;
mod tap;
mod tape;
mod wire;

use std::collections::BTreeSet;

use expect::{Readable, expect_all, expect_honest, expect_later, expect_once};
use frame::Frame;
use http_decode::{Limits, Output, Settings};
use plan::{plan, usual_plan};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use received::Received;
use tape::{Decoding, Piece, Tape, disorder};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_cut_gives_every_exchange_as_the_peers_saw_it(plan in plan(), sizes in sizes()) {
        let tape = Tape::record(&plan);
        expect_all(&tape, &decode(&tape, &tape.pieces(&sizes)))?;
    }

    #[test]
    fn an_exchange_that_is_emitted_early_ends_as_the_peers_saw_it(plan in plan(), sizes in sizes(), hold_ns in 1_u64..300) {
        let tape = Tape::record(&plan);
        let mut decoding = Decoding::new(&tape, [0, 0], Settings { hold_ns, ..roomy() });
        for piece in tape.pieces(&sizes) {
            decoding.tick(piece.at);
            decoding.push(&piece);
        }
        expect_all(&tape, &decoding.end())?;
    }

    #[test]
    fn any_order_of_arrival_gives_every_exchange_as_the_peers_saw_it(
        plan in plan(),
        sizes in sizes(),
        reach in prop_oneof![2_usize..20, Just(usize::MAX)],
        seed in any::<u64>(),
    ) {
        let tape = Tape::record(&plan);
        let mut pieces = tape.pieces(&sizes);
        disorder(&mut pieces, reach, seed);
        expect_all(&tape, &decode(&tape, &pieces))?;
    }

    #[test]
    fn joined_late_nothing_is_wrong_and_later_streams_are_paired(
        plan in usual_plan(),
        sizes in sizes(),
        joined in any::<Index>(),
    ) {
        let tape = Tape::record(&plan);
        let mut pieces = tape.pieces(&sizes);
        let joined = pieces[joined.index(pieces.len())].at;
        pieces.retain(|piece| piece.at > joined);
        let mut decoding = Decoding::new(&tape, tape.origins(joined), roomy());
        for piece in &pieces {
            decoding.push(piece);
        }
        let outputs = decoding.end();
        let boundaries = tape.first_boundaries(joined);
        expect_honest(&tape, &outputs, &Readable::of(&tape, &pieces, boundaries))?;
        expect_later(&tape, &outputs, boundaries)?;
    }

    #[test]
    fn joined_at_any_call_nothing_is_wrong_or_emitted_twice(
        plan in plan(),
        sizes in sizes(),
        split in any::<bool>(),
        settled in any::<bool>(),
    ) {
        let mut tape = Tape::record(&plan);
        if split {
            tape.split_calls();
        }
        let pieces = tape.pieces(&sizes);
        let times = tape.times();
        // Many calls at the beginning, where most is still to come, and some of the others.
        let step = 1 + times.len() / 15;
        for joined in times.iter().take(15).chain(times.iter().step_by(step)) {
            let later: Vec<_> = pieces.iter().filter(|piece| piece.at > *joined).cloned().collect();
            let mut decoding = Decoding::new(&tape, tape.origins(*joined), roomy());
            for piece in &later {
                decoding.push(piece);
                if settled {
                    decoding.settle(piece.at);
                }
            }
            let outputs = decoding.end();
            let readable = Readable::of(&tape, &later, tape.first_boundaries(*joined));
            expect_honest(&tape, &outputs, &readable)?;
            expect_once(&outputs)?;
        }
    }

    #[test]
    fn gaps_make_nothing_wrong(
        plan in usual_plan(),
        sizes in sizes(),
        gaps in vec(any::<Index>(), 1..6),
        reported in any::<bool>(),
        counted in any::<bool>(),
        settled in vec(any::<bool>(), 1..8),
        reach in prop_oneof![Just(1_usize), 2_usize..20],
        seed in any::<u64>(),
    ) {
        let tape = Tape::record(&plan);
        let mut pieces = tape.pieces(&sizes);
        for gap in gaps {
            let gap = gap.index(pieces.len());
            pieces[gap].is_lost = true;
        }
        disorder(&mut pieces, reach, seed);
        let mut decoding = Decoding::new(&tape, [0, 0], roomy());
        if !counted {
            decoding.forget_lengths(&pieces);
        }
        for (piece, settle) in pieces.iter().zip(settled.iter().cycle()) {
            match (piece.is_lost, reported) {
                (false, _) => decoding.push(piece),
                (true, true) => decoding.report_gap(piece),
                (true, false) => {}
            }
            // Settling promises that nothing older will arrive.
            if *settle && reach == 1 {
                decoding.settle(piece.at);
            }
        }
        expect_honest(&tape, &decoding.end(), &Readable::of(&tape, &pieces, [0, 0]))?;
    }
}

#[test]
fn conversations_have_every_feature() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let plan = plan().new_tree(&mut runner).expect("a plan").current();
        let tape = Tape::record(&plan);
        for lane in [&tape.requests, &tape.responses] {
            seen.extend(lane.frames().iter().flat_map(Frame::features));
        }
        seen.extend(tape.streams.values().flat_map(Received::features));
    }
    let expected = [
        "1xx",
        "CONTINUATION",
        "GOAWAY",
        "PRIORITY",
        "PRIORITY_UPDATE",
        "PUSH_PROMISE",
        "RST_STREAM",
        "a full frame",
        "a priority",
        "never indexed",
        "padding",
        "request trailers",
        "response trailers",
        "unassigned",
    ];
    assert_eq!(seen, BTreeSet::from(expected));
}

/// 40, unless the environment asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(40)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let few = vec(1_usize..40, 1..6);
    let many = vec(prop_oneof![1_usize..40, 40_usize..20_000], 1..20);
    prop_oneof![1 => Just(vec![usize::MAX]), 1 => few, 2 => many]
}

/// Limits that hold everything while the first byte is missing, and a hold longer than any tape.
fn roomy() -> Settings {
    let limits = Limits {
        max_held_bytes: 1 << 26,
        max_held_chunks: 1 << 22,
        ..Limits::DEFAULT
    };
    Settings {
        limits,
        hold_ns: u64::MAX,
    }
}

fn decode(tape: &Tape, pieces: &[Piece]) -> Vec<Output> {
    let mut decoding = Decoding::new(tape, [0, 0], roomy());
    for piece in pieces {
        decoding.push(piece);
    }
    decoding.end()
}
