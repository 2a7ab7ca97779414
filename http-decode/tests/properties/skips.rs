//! Bytes of no interest may be left out, late, in part, or not at all: what is decoded is the same.

use http_decode::{Connection, Direction, Ended, Gap, GapCause, Output, Settings, Timestamp};
use proptest::prelude::*;

use super::support::{Conversation, Piece, conversation, decode, drain, push};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_skipped_every_exchange_is_the_same(
        conversation in conversation(),
        cuts in proptest::collection::vec(1_usize..120, 1..20),
        delay in 0_usize..6,
        honoured in proptest::collection::vec(any::<bool>(), 1..9),
    ) {
        let pieces = conversation.pieces(&cuts);
        let expected = decode(&pieces, conversation.end());
        prop_assert_eq!(expected, decode_with_skips(&conversation, &pieces, delay, &honoured));
    }
}

/// Decodes pieces without bytes that were announced to be of no interest, so many pieces before, if they are honoured.
fn decode_with_skips(conversation: &Conversation, pieces: &[Piece], delay: usize, honoured: &[bool]) -> Vec<Output> {
    let mut connection = Connection::new(Settings::default());
    let mut outputs = Vec::new();
    let mut announced: Vec<[u64; 2]> = Vec::new();
    for (index, (piece, honoured)) in pieces.iter().zip(honoured.iter().cycle()).enumerate() {
        let known = index
            .checked_sub(delay + 1)
            .and_then(|known| announced.get(known))
            .copied();
        let [read, written] = known.filter(|_| *honoured).unwrap_or_default();
        let until = match piece.direction {
            Direction::Read => read,
            Direction::Write => written,
        };
        push_from(&mut connection, piece, until);
        outputs.extend(drain(&mut connection));
        announced.push([Direction::Read, Direction::Write].map(|of| connection.skippable_until(of).unwrap_or(0)));
    }
    connection.settle(conversation.end());
    outputs.extend(drain(&mut connection));
    connection.close(conversation.end(), Ended::Closed, None);
    outputs.extend(drain(&mut connection));
    outputs
}

/// Pushes the bytes of a piece from a position on, and a gap in place of those before it.
fn push_from(connection: &mut Connection, piece: &Piece, until: u64) {
    let length = piece.bytes.len() as u64;
    let span = until.saturating_sub(piece.position).min(length);
    if span > 0 {
        connection.gap(Gap {
            direction: piece.direction,
            position: piece.position,
            span,
            cause: GapCause::Skipped,
            at: Some(Timestamp(piece.at)),
        });
    }
    if span < length {
        let mut rest = piece.clone();
        rest.bytes.drain(..usize::try_from(span).expect("a part of the bytes"));
        rest.position += span;
        rest.call_start &= span == 0;
        push(connection, &rest);
    }
}
