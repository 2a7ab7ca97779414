//! Property test with secrets planted where no rule applies: in bodies, reason phrases, chunk extensions, and content that is
//! mistaken for a head.

use http_decode::{Chunk, Connection, Direction, Ended, Output, Settings, Timestamp};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof, proptest,
    sample::select,
};

use super::*;
use crate::redact::claims;

proptest! {
    #[test]
    fn no_content_of_a_message_is_in_any_output(
        request in message(REQUESTS),
        response in message(RESPONSES),
        joined_at in prop_oneof![3 => Just(0), 1 => 0_usize..200],
        step in select(&[1_usize, 7, 64, 4096][..]),
        late in any::<bool>(),
    ) {
        let (words, [request, response]) = planted([request, response]);
        let kinds = decoded(request.get(joined_at..).unwrap_or_default(), &response, step, late);
        let mut redactor = redactor(Rules::default());
        let observed: Vec<_> = kinds
            .into_iter()
            .map(|kind| sample::observed(kind, AddressSource::Bio))
            .collect();
        let lines: Vec<_> = observed.iter().map(|observed| redactor.redact(observed)).collect();
        claims::no_word_is_in_any_output(&words, &lines);
    }
}

/// The parts of a message, with `~` for each planted word, and the words.
type Message = (Vec<&'static str>, Vec<String>);

fn message(parts: &'static [&'static str]) -> impl Strategy<Value = Message> {
    (vec(select(parts), 1..4), vec("zq[a-z0-9]{14}", 16))
}

/// Returns the words that are planted in messages, and the messages.
fn planted<const N: usize>(messages: [Message; N]) -> (Vec<String>, [Vec<u8>; N]) {
    let mut planted = Vec::new();
    let bytes = messages.map(|(parts, words)| {
        let mut words = words.into_iter();
        let mut message = String::new();
        for piece in parts.concat().split_inclusive('~') {
            message.push_str(piece.trim_end_matches('~'));
            if piece.ends_with('~')
                && let Some(word) = words.next()
            {
                message.push_str(&word);
                planted.push(word);
            }
        }
        message.into_bytes()
    });
    (planted, bytes)
}

/// Decodes a connection whose bytes arrive in pieces of `step` bytes.
fn decoded(request: &[u8], response: &[u8], step: usize, late: bool) -> Vec<ObservedKind> {
    let mut connection = Connection::new(Settings::default());
    if !late {
        connection.mark_from_start();
    }
    let mut now = 0;
    for (direction, bytes) in [(Direction::Read, request), (Direction::Write, response)] {
        for (index, piece) in bytes.chunks(step).enumerate() {
            now += 1;
            connection.push(
                direction,
                Chunk {
                    position: (index * step) as u64,
                    at: Timestamp(now),
                    origin: 1,
                    call_start: true,
                    bytes: piece,
                },
            );
        }
    }
    connection.close(Timestamp(now + 1), Ended::Closed, None);
    let outputs = std::iter::from_fn(|| connection.poll());
    let kinds = outputs.filter_map(|output| match output {
        Output::Exchange(exchange) => Some(ObservedKind::Exchange(exchange)),
        Output::End(end) => Some(ObservedKind::End(end)),
        Output::Gap(gap) => Some(ObservedKind::Gap(gap)),
        Output::Undecoded(..) => None,
    });
    kinds.collect()
}

const REQUESTS: &[&str] = &[
    "GET /?token=~ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 20\r\n\r\n1234~",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n10;a=~\r\n~\r\n0\r\nX-Key: ~\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n~",
    "PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\n~ / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "~ / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n Authorization: Bearer ~\r\n\r\n",
    "GET /?token=~\r\n",
    "~",
    "\r\n",
];
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 ~\r\nContent-Length: 16\r\n\r\n~",
    "HTTP/1.1 417 ~\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 100 ~\r\n\r\nHTTP/1.1 204 ~\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10;~\r\n~\r\n0\r\nX-Token: ~\r\n\r\n",
    "HTTP/1.1 302 OK\r\nSet-Cookie: a=1; Path=/, b=~\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n~ ~",
    "~ 200 OK\r\n\r\n",
    "~",
];
