//! Content is never emitted as a method, a target or a field, however it is announced, rejected, cut, or lost.

use super::support::{Call, Piece, cut, drain, exchanges, push};
use http_decode::{Direction, Ended, Exchange, Fields, Output, Owned, RequestHead, Settings, Timestamp, Unredacted};
use proptest::prelude::*;
use proptest::sample::Index;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn content_is_never_emitted(
        plans in proptest::collection::vec(plan(DECOYS, None), 1..6),
        cuts in proptest::collection::vec(1_usize..90, 1..12),
        from_start in any::<bool>(),
    ) {
        expect_no_content_in(&calls(&plans), &cuts, from_start)?;
    }

    #[test]
    fn content_that_is_answered_as_a_bad_request_is_never_emitted(
        plans in proptest::collection::vec(plan(INNER_DECOYS, Some(Framing::Garbage)), 1..6),
        cuts in proptest::collection::vec(1_usize..90, 1..12),
        from_start in any::<bool>(),
    ) {
        expect_no_content_in(&calls(&plans), &cuts, from_start)?;
    }

    #[test]
    fn content_is_never_emitted_where_bytes_were_lost(
        plans in proptest::collection::vec(plan(INNER_DECOYS, Some(Framing::Garbage)), 1..6),
        cuts in proptest::collection::vec(1_usize..90, 1..12),
        lost in proptest::collection::vec(any::<Index>(), 1..4),
    ) {
        let mut pieces = cut(&calls(&plans), &cuts);
        for lost in lost {
            pieces.remove(lost.index(pieces.len()));
            prop_assume!(!pieces.is_empty());
        }
        expect_no_content(&decode(&pieces, false))?;
    }
}

#[test]
fn a_request_behind_a_line_that_ended_with_its_call_is_found_in_pieces_too() {
    let plan = |framing, content: &[u8]| Plan {
        framing,
        content: content.to_vec(),
        joined: false,
    };
    let plans = [
        plan(Framing::Garbage, b"SECRETAAAAAAAAAAAAAAA"),
        plan(Framing::Length, b"SECRET"),
    ];
    expect_no_content_in(&calls(&plans), &[8, 1], false).unwrap();
}

/// How the content of a request is announced, and how the server responds.
#[derive(Clone, Debug)]
enum Framing {
    Length,
    Chunked,
    /// Not at all: a recipient reads it as the next head.
    Unannounced,
    /// Not at all, and the server responds with 400.
    Garbage,
    /// The server responds before the content, which is sent all the same.
    Early,
    /// The client waits for 100 Continue, and gets it.
    Continued,
    /// The client waits for 100 Continue, gets 413, and sends the content all the same.
    Refused,
    /// The client waits for 100 Continue, gets a final response, and does not send the content.
    Withheld,
}

#[derive(Clone, Debug)]
struct Plan {
    framing: Framing,
    content: Vec<u8>,
    /// Whether the content, or the next request if there is none, is in the same call as what is before it.
    joined: bool,
}

/// Content that begins like a request, or contains one.
const DECOYS: [&str; 2] = [
    "SECRET /secret HTTP/1[.]1\r\nsecret: secret\r\n\r\n",
    "x\r\n\r\nGET /secret HTTP/1[.]1\r\nsecret: secret\r\n\r\n",
];
/// The same, but not at the first byte of a call, where a decoder that is out of sync accepts a request.
const INNER_DECOYS: [&str; 2] = [
    "xSECRET /secret HTTP/1[.]1\r\nsecret: secret\r\n\r\n",
    "x\r\n\r\nGET /secret HTTP/1[.]1\r\nsecret: secret\r\n\r\n",
];

fn plan([decoy, other]: [&'static str; 2], more: Option<Framing>) -> impl Strategy<Value = Plan> {
    let framing = prop_oneof![
        Just(Framing::Length),
        Just(Framing::Chunked),
        Just(Framing::Unannounced),
        Just(more.unwrap_or(Framing::Length)),
        Just(Framing::Early),
        Just(Framing::Continued),
        Just(Framing::Refused),
        Just(Framing::Withheld),
    ];
    let content = prop_oneof![
        "SECRET[A-Z]{0,40}",
        "secret[a-z0-9]{0,40}",
        "secret=[a-z]{1,9} [ a-z]{0,20}",
        "SECRET[ /]secret HTTP/1[.]1\r\n",
        decoy,
        other,
    ];
    (framing, content, any::<bool>()).prop_map(|(framing, content, joined)| Plan {
        // A whole request that nothing announces as content is a request.
        content: match framing {
            Framing::Unannounced => content.replace([' ', '\r', '\n'], "").into_bytes(),
            Framing::Garbage => content.replace(" HTTP/1.1", " secret").into_bytes(),
            Framing::Length
            | Framing::Chunked
            | Framing::Early
            | Framing::Continued
            | Framing::Refused
            | Framing::Withheld => content.into_bytes(),
        },
        framing,
        joined,
    })
}

fn calls(plans: &[Plan]) -> Vec<Call> {
    let mut writer = Writer::default();
    for (
        number,
        Plan {
            framing,
            content,
            joined,
        },
    ) in plans.iter().enumerate()
    {
        let head = |field: &str| format!("POST /{number} HTTP/1.1\r\nHost: a\r\n{field}\r\n").into_bytes();
        let length = format!("Content-Length: {}\r\n", content.len());
        let expecting = format!("Expect: 100-continue\r\n{length}");
        match framing {
            Framing::Length => writer.read(&[head(&length), content.clone()], *joined),
            Framing::Chunked => {
                let size = format!("{:x}\r\n", content.len()).into_bytes();
                let chunked = [size, content.clone(), b"\r\n0\r\n\r\n".to_vec()].concat();
                writer.read(&[head("Transfer-Encoding: chunked\r\n"), chunked], *joined);
            }
            Framing::Unannounced => {
                let next = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
                writer.read(&[head(""), content.clone(), next], *joined);
                writer.write("200 OK");
            }
            Framing::Early | Framing::Refused => {
                let field = if matches!(framing, Framing::Early) {
                    &length
                } else {
                    &expecting
                };
                writer.read(&[head(field)], true);
                writer.write("413 Content Too Large");
                writer.read(std::slice::from_ref(content), true);
                continue;
            }
            Framing::Continued => {
                writer.read(&[head(&expecting)], true);
                writer.call(Direction::Write, b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
                writer.read(std::slice::from_ref(content), true);
            }
            Framing::Garbage => {
                writer.read(std::slice::from_ref(content), true);
                writer.write("400 Bad Request");
                continue;
            }
            Framing::Withheld => writer.read(&[head(&expecting)], true),
        }
        writer.write("200 OK");
    }
    writer.calls
}

#[derive(Default)]
struct Writer {
    calls: Vec<Call>,
    positions: [u64; 2],
}

impl Writer {
    fn read(&mut self, parts: &[Vec<u8>], joined: bool) {
        if joined {
            self.call(Direction::Read, parts.concat());
        } else {
            for part in parts {
                self.call(Direction::Read, part.clone());
            }
        }
    }

    fn write(&mut self, status: &str) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        self.call(Direction::Write, head.into_bytes());
    }

    fn call(&mut self, direction: Direction, bytes: Vec<u8>) {
        let next = &mut self.positions[usize::from(direction == Direction::Write)];
        let position = *next;
        *next += bytes.len() as u64;
        self.calls.push(Call {
            direction,
            at: 10 * (self.calls.len() as u64 + 1),
            position,
            bytes,
            shows_pipelining: false,
        });
    }
}

fn decode(pieces: &[Piece], from_start: bool) -> Vec<Output> {
    let mut connection = http_decode::Connection::new(Settings::default());
    if from_start {
        connection.mark_from_start();
    }
    let mut outputs = Vec::new();
    for piece in pieces {
        push(&mut connection, piece);
        connection.settle(Timestamp(piece.at));
        outputs.extend(drain(&mut connection));
    }
    connection.close(Timestamp(u64::MAX), Ended::Closed, None);
    outputs.extend(drain(&mut connection));
    // The position of a notice depends on when it was known that bytes could not be decoded.
    outputs.retain(|output| matches!(output, Output::Exchange(_) | Output::End(_)));
    outputs
}

/// Expects the same outputs however the calls are cut, and no content in them.
fn expect_no_content_in(calls: &[Call], cuts: &[usize], from_start: bool) -> Result<(), TestCaseError> {
    let whole = decode(&cut(calls, &[usize::MAX]), from_start);
    expect_no_content(&whole)?;
    prop_assert_eq!(whole, decode(&cut(calls, cuts), from_start));
    Ok(())
}

fn expect_no_content(outputs: &[Output]) -> Result<(), TestCaseError> {
    for exchange in exchanges(outputs) {
        let Exchange { request, response, .. } = exchange;
        if let Some(request) = request {
            let RequestHead {
                method, path, fields, ..
            } = &request.head;
            let path = path.as_ref().map(Unredacted::<Owned>::expose).unwrap_or_default();
            let method = method.as_deref().unwrap_or_default().as_bytes();
            prop_assert!(!holds_secret(method) && !holds_secret(path), "{exchange:?}");
            prop_assert!(!hold_secret(fields) && !hold_secret(&request.trailers), "{exchange:?}");
        }
        if let Some(response) = response {
            prop_assert!(!hold_secret(&response.head.fields), "{exchange:?}");
        }
    }
    Ok(())
}

fn hold_secret(fields: &Fields) -> bool {
    fields.iter().any(|field| {
        holds_secret(field.name.unwrap_or_default().as_bytes())
            || holds_secret(field.value.map(Unredacted::<&[u8]>::expose).unwrap_or_default())
    })
}

fn holds_secret(bytes: &[u8]) -> bool {
    bytes.to_ascii_lowercase().windows(6).any(|part| part == b"secret")
}
