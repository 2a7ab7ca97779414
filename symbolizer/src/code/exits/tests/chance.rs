//! What holds of any code, and of any way through it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Goes from the entry to a return or a stop, by the choices given; returns how many ends were passed, unless they ran
/// out or no noted call goes that way.
fn walk(
    body: &Body<'_>,
    ends: &Ends,
    unused: &BTreeSet<(usize, usize)>,
    mut choices: impl Iterator<Item = bool>,
) -> Option<(usize, Option<End>)> {
    let (mut here, mut passed) = (0, 0);
    // A way may be a loop that nothing leaves.
    for _ in 0..limits::GRAPH_INSTRUCTIONS {
        let node = &body.graph.nodes[here];
        let ways: Vec<usize> = node.successors().collect();
        let to = match ways[..] {
            [] => None,
            [only] => Some(only),
            [one, other, ..] => Some(if choices.next()? { one } else { other }),
        };
        let taken = to
            .filter(|_| ways.len() > 1)
            .and_then(|to| condition(body.graph.code, node, to));
        let is_passed = |spot: &&Spot| spot.at == node.at && (spot.when.is_none() || spot.when == taken);
        passed += ends.spots.iter().filter(is_passed).count();
        match to {
            Some(to) if unused.contains(&(here, to)) => return None,
            Some(to) => here = to,
            None => return Some((passed, node.end)),
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_passes_one_end(
        choices in prop::collection::vec(any::<bool>(), 64),
        which in 0..3_usize,
        damage in prop::collection::vec((0..0x80_usize, any::<u8>()), 0..3),
    ) {
        let (listing, base, width) = [(WRAPPER, 0x35430, 4), (INTERNAL, 0x296b0, 4), (RECEIVE, 0x3e8b0, 8)][which];
        let mut bytes = bytes(listing);
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        let around = Around { last: vec![0x205f0], ..Around::default() };
        let question = Question {
            outcome: Outcome { width, ..INT },
            ways: Ways::All,
            ..question(base)
        };
        let body = Body::of(code(&bytes, base), Vaddr(base), &around, &nowhere, &budget());
        if let Ok(body) = body
            && let Ok(ends) = body.ends(&question)
            && let unused = known::Known::of(&body, &question).unused
            && let Some((passed, end)) = walk(&body, &ends, &unused, choices.into_iter())
        {
            match end {
                Some(End::Return) => prop_assert_eq!(passed, 1),
                _ => prop_assert!(passed <= 1),
            }
        }
    }

    #[test]
    fn any_code_has_ends_or_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        let _found = any_code(&bytes);
    }
}
