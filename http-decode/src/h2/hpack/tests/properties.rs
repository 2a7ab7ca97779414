//! Properties of any bytes, and of the output of any valid encoder.

use proptest::prelude::*;

use super::encoder::{Encoder, Expected, Representation, Wish};
use super::*;

/// A block to be encoded: size updates, then fields.
type Block = (Vec<u32>, Vec<Wish>);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_encoder_does_is_decoded(blocks in blocks()) {
        let mut decoder = Decoder::from_start(TABLE_BYTES);
        let mut encoder = Encoder::new();
        for block in &blocks {
            let (wire, expected) = encode(&mut encoder, block);
            check(&mut decoder, &wire, &expected, 0)?;
        }
    }

    #[test]
    fn after_joining_late_exactly_the_parts_that_refer_to_unseen_entries_are_unknown(blocks in blocks(), missed in 0_usize..12) {
        let mut decoder = Decoder::new(TABLE_BYTES);
        let mut encoder = Encoder::new();
        let mut joined = 0;
        for (number, block) in blocks.iter().enumerate() {
            let (wire, expected) = encode(&mut encoder, block);
            if number < missed {
                joined = encoder.inserted;
            } else {
                check(&mut decoder, &wire, &expected, joined)?;
            }
        }
    }

    #[test]
    fn after_a_loss_exactly_the_parts_that_refer_to_unseen_entries_are_unknown(
        blocks in blocks(),
        lost in proptest::collection::vec(proptest::bool::weighted(0.2), 24),
    ) {
        let mut decoder = Decoder::from_start(TABLE_BYTES);
        let mut encoder = Encoder::new();
        let mut known_from = 0;
        for (block, lost) in blocks.iter().zip(lost) {
            let (wire, expected) = encode(&mut encoder, block);
            if lost {
                decoder.forget();
                known_from = encoder.inserted;
            } else {
                check(&mut decoder, &wire, &expected, known_from)?;
            }
        }
    }

    #[test]
    fn a_block_cut_short_gives_its_whole_fields_and_leaves_nothing_wrong_behind(
        blocks in blocks(),
        cut in any::<proptest::sample::Index>(),
        cut_in in 0_usize..12,
    ) {
        let mut decoder = Decoder::from_start(TABLE_BYTES);
        let mut encoder = Encoder::new();
        let mut known_from = 0;
        for (number, block) in blocks.iter().enumerate() {
            let (wire, expected) = encode(&mut encoder, block);
            if number != cut_in {
                check(&mut decoder, &wire, &expected, known_from)?;
                continue;
            }
            let (lines, result) = decode_all(&mut decoder, &wire[..cut.index(wire.len() + 1)], &GENEROUS);
            prop_assert!(matches!(result, Ok(_) | Err(Error::Truncated)), "{:?}", result);
            let whole: Vec<_> = expected.iter().take(lines.len()).map(whole_line).collect();
            prop_assert_eq!(lines, whole);
            decoder.forget();
            known_from = encoder.inserted;
        }
    }

    #[test]
    fn a_table_that_is_too_small_knows_less_and_nothing_else(blocks in blocks(), max_table_bytes in 0_usize..400) {
        let mut decoder = Decoder::from_start(max_table_bytes);
        let mut encoder = Encoder::new();
        for block in &blocks {
            let (wire, expected) = encode(&mut encoder, block);
            let mut expected = expected.iter();
            let result = decoder.decode(&wire, &GENEROUS, |header| {
                let expected = expected.next().expect("no more fields than were encoded");
                assert!(header.name.is_none_or(|name| name == expected.name));
                assert!(header.value.is_none_or(|value| value == expected.value));
            });
            prop_assert!(result.is_ok());
            prop_assert_eq!(expected.len(), 0);
            prop_assert!(decoder.held_bytes() <= Decoder::max_held_bytes(max_table_bytes));
        }
    }

    #[test]
    fn any_bytes_are_decoded_alike_by_whoever_saw_more(data in proptest::collection::vec(any::<u8>(), 0..600)) {
        crate::fuzz::hpack(&data);
    }
}

fn encode(encoder: &mut Encoder, (updates, wishes): &Block) -> (Vec<u8>, Vec<Expected>) {
    let mut wire = Vec::new();
    for limit in updates {
        encoder.size_update(&mut wire, *limit);
    }
    let expected = wishes.iter().map(|wish| encoder.field(&mut wire, wish)).collect();
    (wire, expected)
}

/// Decodes a block and expects every part to be right if it rests on nothing before `known_from`, and unknown if it does.
fn check(decoder: &mut Decoder, wire: &[u8], expected: &[Expected], known_from: u64) -> Result<(), TestCaseError> {
    let mut fields = Vec::new();
    let result = decoder.decode(wire, &GENEROUS, |header| {
        fields.push((
            header.name.map(<[u8]>::to_vec),
            header.value.map(<[u8]>::to_vec),
            header.never_indexed,
        ));
    });
    let expected: Vec<_> = expected
        .iter()
        .map(|field| {
            let name = (field.name_needs >= known_from).then(|| field.name.clone());
            let value = (field.value_needs >= known_from).then(|| field.value.clone());
            (name, value, field.never_indexed)
        })
        .collect();
    let unknown = expected
        .iter()
        .filter(|(name, value, _)| name.is_none() || value.is_none())
        .count();
    let outcome = Decoded {
        fields: count(expected.len()),
        unknown: count(unknown),
        over_limit: 0,
    };
    prop_assert_eq!(result, Ok(outcome));
    prop_assert_eq!(fields, expected);
    prop_assert!(decoder.held_bytes() <= Decoder::max_held_bytes(TABLE_BYTES));
    Ok(())
}

fn whole_line(field: &Expected) -> String {
    line(&Header {
        name: Some(&field.name),
        value: Some(&field.value),
        never_indexed: field.never_indexed,
    })
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let updates = prop_oneof![
        8 => Just(Vec::new()),
        1 => proptest::collection::vec(limit(), 1..3),
    ];
    proptest::collection::vec((updates, proptest::collection::vec(wish(), 0..10)), 1..24)
}

/// Limits for no entry, for a few, and for many.
fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 30_u32..300, Just(4096), 4096_u32..60000]
}

/// Any octets, or printable ones; drawn by hand, since to draw each by itself takes most of the time.
fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    (any::<u64>(), 0..max, any::<bool>()).prop_map(|(seed, length, printable)| {
        let draws = std::iter::successors(Some(seed), |draw| {
            Some(
                draw.wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407),
            )
        });
        let octets = draws.skip(1).map(|draw| draw.to_be_bytes()[0]);
        let octets = octets.map(|octet| if printable { b' ' + octet % 95 } else { octet });
        octets.take(length).collect()
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let name = prop_oneof![
        Just(b":path".to_vec()),
        Just(b"x-request-id".to_vec()),
        proptest::sample::select(vec!["", "a", "b", "c"]).prop_map(Vec::from),
        octets(40),
    ];
    let value = prop_oneof![
        proptest::sample::select(vec!["", "/", "0", "1"]).prop_map(Vec::from),
        octets(80),
    ];
    let representation = prop_oneof![
        4 => Just(Representation::Indexed),
        4 => Just(Representation::Incremental),
        1 => Just(Representation::Without),
        1 => Just(Representation::Never),
    ];
    let refer = proptest::option::weighted(0.9, any::<usize>());
    (name, value, representation, refer, any::<[bool; 2]>()).prop_map(
        |(name, value, representation, refer, huffman)| Wish {
            name,
            value,
            representation,
            refer,
            huffman,
        },
    )
}
