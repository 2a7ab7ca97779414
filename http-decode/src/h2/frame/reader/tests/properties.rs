//! Properties of any frames, however they are cut, and wherever a gap is.

use proptest::prelude::*;

use super::*;
use crate::h2::frame::fuzz;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_frames_give_the_same_events_in_any_cut_and_around_any_gap(
        preface in any::<bool>(),
        frames in proptest::collection::vec(frames(), 0..12),
        cut in any::<[u8; 2]>(),
        gaps in proptest::collection::vec((0..600_u16, prop_oneof![0..12_u16, 0..300_u16]), 1..8),
    ) {
        let wire = frames.concat();
        let whole = if preface { [PREFACE, &wire[..]].concat() } else { wire.clone() };
        prop_assert_eq!(fuzz::expect(&whole, preface).1, whole.len(), "every frame is valid");
        for (start, length) in gaps {
            let [[start_high, start], [length_high, length]] = [start.to_be_bytes(), length.to_be_bytes()];
            let data = [preface.into(), cut[0], cut[1], start_high, start, length_high, length];
            fuzz::frames(&[&data, &wire[..]].concat());
        }
    }

    #[test]
    fn the_properties_hold_for_any_bytes(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz::frames(&data);
    }
}

/// One valid frame, or a header block of several.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let stream = 1_u32..5;
    let padding = proptest::option::of(0_u8..9);
    prop_oneof![
        (stream.clone(), any::<bool>(), padding.clone(), bytes(0..40)).prop_map(|(stream, end, padding, content)| pad(
            kind::DATA,
            end.into(),
            stream,
            padding,
            &content
        )),
        (
            stream.clone(),
            any::<bool>(),
            padding.clone(),
            any::<bool>(),
            fragments()
        )
            .prop_map(|(stream, end, padding, priority, fragments)| {
                let flags = u8::from(end) | if priority { flag::PRIORITY } else { 0 };
                block(
                    kind::HEADERS,
                    flags,
                    stream,
                    padding,
                    if priority { &[0, 0, 0, 9, 1] } else { &[] },
                    &fragments,
                )
            }),
        (stream.clone(), 1_u32..5, padding, fragments()).prop_map(|(stream, half, padding, fragments)| {
            block(
                kind::PUSH_PROMISE,
                0,
                stream,
                padding,
                &(half * 2).to_be_bytes(),
                &fragments,
            )
        }),
        (stream.clone(), bytes(4..5)).prop_map(|(stream, code)| frame(kind::RST_STREAM, 0, stream, &code)),
        bytes(8..30).prop_map(|payload| frame(kind::GOAWAY, 0, 0, &payload)),
        proptest::collection::vec(
            (prop_oneof![Just(1_u16), Just(5), Just(8), Just(3)], any::<bool>()),
            0..5
        )
        .prop_map(|entries| settings(&entries)),
        Just(frame(kind::SETTINGS, flag::ACK, 0, &[])),
        bytes(8..9).prop_map(|payload| frame(kind::PING, 0, 0, &payload)),
        (stream, bytes(5..6)).prop_map(|(stream, payload)| frame(kind::PRIORITY, 0, stream, &payload)),
        (0_u32..5, 1_u32..9).prop_map(|(stream, size)| frame(kind::WINDOW_UPDATE, 0, stream, &size.to_be_bytes())),
        (0_u32..5, 0xa_u8.., any::<u8>(), bytes(0..30))
            .prop_map(|(stream, kind, flags, payload)| frame(kind, flags, stream, &payload)),
    ]
}

fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), length)
}

/// Fragments of a block that is now and then over the limit.
fn fragments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(prop_oneof![bytes(0..3), bytes(0..30)], 1..5)
}

fn settings(entries: &[(u16, bool)]) -> Vec<u8> {
    let payload = entries.iter().flat_map(|&(identifier, high)| {
        let value = if identifier == 5 { 16384 } else { 0_u32 } + u32::from(high);
        [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat()
    });
    frame(kind::SETTINGS, 0, 0, &payload.collect::<Vec<_>>())
}

/// A frame whose padding, if it has any, is zeros.
fn pad(kind: u8, flags: u8, stream: u32, padding: Option<u8>, content: &[u8]) -> Vec<u8> {
    let Some(length) = padding else {
        return frame(kind, flags, stream, content);
    };
    let payload = [&[length], content, &vec![0; length.into()]].concat();
    frame(kind, flags | flag::PADDED, stream, &payload)
}

fn block(kind: u8, flags: u8, stream: u32, padding: Option<u8>, fixed: &[u8], fragments: &[Vec<u8>]) -> Vec<u8> {
    let end = |index: usize| {
        if index + 1 == fragments.len() {
            flag::END_HEADERS
        } else {
            0
        }
    };
    let first = pad(kind, flags | end(0), stream, padding, &[fixed, &fragments[0]].concat());
    let others = fragments.iter().enumerate().skip(1);
    let others = others.map(|(index, fragment)| frame(kind::CONTINUATION, end(index), stream, fragment));
    std::iter::once(first).chain(others).collect::<Vec<_>>().concat()
}
