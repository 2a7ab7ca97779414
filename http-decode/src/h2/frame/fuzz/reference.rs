//! The expected events of one direction, from a simple reader that parses whole frames one after the other.

use super::transcript::{MAX_BLOCK_BYTES, Recorded, Transcript};
use crate::Timestamp;
use crate::chunk::Mark;
use crate::h2::PREFACE;
use crate::h2::frame::{Block, ErrorCode, Event, Header, Payload, Settings, flag, parse};

/// Returns the events of the frames that [`parse`] accepts, and the length of these frames.
pub(in super::super) fn expect(wire: &[u8], preface: bool) -> (Vec<Recorded>, usize) {
    let mut expected = Transcript::default();
    let mut position = if preface { PREFACE.len() } else { 0 };
    if preface {
        expected.record(Event::Preface);
    }
    let mut block: Option<(Block<'static>, Vec<u8>)> = None;
    let mut frame_seen = false;
    while let Some((bytes, rest)) = wire.get(position..).unwrap_or_default().split_first_chunk::<9>() {
        if PREFACE.starts_with(bytes) && block.is_none() {
            if !wire.get(position..).is_some_and(|bytes| bytes.starts_with(PREFACE)) {
                break;
            }
            expected.record(if frame_seen {
                Event::SecondPreface {
                    position: position as u64,
                }
            } else {
                Event::Preface
            });
            position += PREFACE.len();
            continue;
        }
        frame_seen = true;
        let header = Header::parse(bytes);
        let payload = rest.get(..header.length as usize).unwrap_or(rest);
        let Ok(parsed) = parse(&header, payload, 0xff_ffff) else {
            break;
        };
        if expect_frame(&header, &parsed, position, &mut block, &mut expected).is_err() {
            break;
        }
        position += bytes.len() + payload.len();
    }
    // A block without its last frame is reported only if it is over the limit.
    if let Some((open, bytes)) = block
        && bytes.len() > MAX_BLOCK_BYTES
    {
        expected.record_block(open, &bytes);
    }
    (expected.events, position)
}

fn expect_frame(
    header: &Header,
    payload: &Payload<'_>,
    position: usize,
    block: &mut Option<(Block<'static>, Vec<u8>)>,
    expected: &mut Transcript,
) -> Result<(), ErrorCode> {
    let stream = header.stream;
    match payload {
        Payload::Continuation { fragment } => match block {
            Some((open, bytes)) if open.stream == stream => bytes.extend_from_slice(fragment),
            _ => return Err(ErrorCode::Protocol),
        },
        _ if block.is_some() => return Err(ErrorCode::Protocol),
        Payload::Data { content, .. } => {
            if !content.is_empty() {
                let bytes = content.len() as u64;
                expected.record(Event::Content { stream, bytes });
            }
            if header.has(flag::END_STREAM) {
                expected.record(Event::EndStream { stream });
            }
        }
        Payload::Headers { fragment, .. } => {
            let end_stream = header.has(flag::END_STREAM);
            *block = Some((open(stream, position, end_stream, None), fragment.to_vec()));
        }
        Payload::PushPromise { fragment, promised, .. } => {
            *block = Some((open(stream, position, false, Some(*promised)), fragment.to_vec()));
        }
        Payload::Reset { .. }
        | Payload::GoAway { .. }
        | Payload::Settings { .. }
        | Payload::Priority(_)
        | Payload::Ping { .. }
        | Payload::WindowUpdate { .. }
        | Payload::Unknown { .. } => {
            if let Some(event) = event(header, payload) {
                expected.record(event);
            }
        }
    }
    if header.has(flag::END_HEADERS)
        && let Some((open, bytes)) = block.take()
    {
        expected.record_block(open, &bytes);
    }
    Ok(())
}

/// Returns the event of a frame that is neither content nor part of a block.
fn event(header: &Header, payload: &Payload<'_>) -> Option<Event<'static>> {
    match payload {
        Payload::Reset { code } => Some(Event::Reset {
            stream: header.stream,
            code: *code,
        }),
        Payload::GoAway { last_stream, code, .. } => Some(Event::GoAway {
            last_stream: *last_stream,
            code: *code,
        }),
        Payload::Settings { entries } => Some(Event::Settings(settings(header, entries))),
        Payload::Data { .. }
        | Payload::Headers { .. }
        | Payload::PushPromise { .. }
        | Payload::Continuation { .. }
        | Payload::Priority(_)
        | Payload::Ping { .. }
        | Payload::WindowUpdate { .. }
        | Payload::Unknown { .. } => None,
    }
}

impl Transcript {
    fn record_block(&mut self, open: Block<'static>, bytes: &[u8]) {
        self.record(Event::Block(Block {
            bytes: bytes.get(..MAX_BLOCK_BYTES).unwrap_or(bytes),
            whole: bytes.len() <= MAX_BLOCK_BYTES,
            ..open
        }));
    }
}

fn open(stream: u32, position: usize, end_stream: bool, promised: Option<u32>) -> Block<'static> {
    Block {
        stream,
        promised,
        end_stream,
        headless: false,
        bytes: &[],
        whole: true,
        mark: Mark {
            position: position as u64,
            at: Timestamp(0),
            origin: 0,
        },
        at: Timestamp(0),
    }
}

fn settings(header: &Header, entries: &[(u16, u32)]) -> Settings {
    let last = |wanted| entries.iter().rfind(|entry| entry.0 == wanted).map(|entry| entry.1);
    Settings {
        ack: header.has(flag::ACK),
        header_table_size: last(1),
        max_frame_size: last(5),
        enable_connect_protocol: last(8).map(|value| value == 1),
    }
}
