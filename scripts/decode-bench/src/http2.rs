//! HTTP/2: whole connections of twenty concurrent streams, encoded by nghttp2.

use http_decode::{Chunk, Connection, Direction, Output, Settings, Timestamp};

use crate::{
    deflater::Deflater,
    rounds::{Rounds, each},
};

const BATCHES: u32 = 100;
const STREAMS: u32 = 20;

/// Measures connections with small and with large responses.
pub fn run(rounds: &Rounds) {
    for content in [1024, 256 * 1024] {
        let calls = calls(content);
        let bytes: usize = calls.iter().map(|(_, bytes)| bytes.len()).sum();
        let heads = usize::try_from(2 * BATCHES * STREAMS).expect("a count");
        let time = rounds.measure(|| decode(&calls));
        println!(
            "http/2, {STREAMS} streams, content of {} KiB: http-decode {:.0} ns a head; {:.2} M heads/s, {:.2} GB/s",
            content / 1024,
            each(time, heads),
            1e3 / each(time, heads),
            bytes as f64 / time.as_nanos() as f64,
        );
    }
}

fn decode(calls: &[(Direction, Vec<u8>)]) -> u32 {
    let mut connection = Connection::new(Settings::default());
    let (mut positions, mut exchanges) = ([0, 0], 0);
    for (at, (direction, bytes)) in (0..).zip(calls) {
        let position = &mut positions[usize::from(*direction == Direction::Write)];
        let chunk = Chunk {
            position: *position,
            at: Timestamp(at),
            origin: 1,
            call_start: true,
            bytes,
        };
        connection.push(*direction, chunk);
        *position += bytes.len() as u64;
        while let Some(output) = connection.poll() {
            exchanges += u32::from(matches!(output, Output::Exchange(_)));
        }
    }
    assert_eq!(exchanges, BATCHES * STREAMS, "every exchange is decoded");
    exchanges
}

/// Makes the calls of a connection: twenty requests in one call, then their responses with interleaved DATA frames.
fn calls(content: usize) -> Vec<(Direction, Vec<u8>)> {
    let (mut requests, mut responses) = (Deflater::new(), Deflater::new());
    let settings = frame(4, 0, 0, &[]);
    let mut calls = vec![
        (
            Direction::Read,
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat(),
        ),
        (Direction::Write, settings),
    ];
    for batch in 0..BATCHES {
        let streams = (0..STREAMS).map(|index| 2 * (batch * STREAMS + index) + 1);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        for stream in streams.clone() {
            let (path, id) = (format!("/assets/{stream}.js"), format!("{stream:032x}"));
            asked.extend(frame(1, 5, stream, &requests.deflate(&request(&path, &id))));
            answered.extend(frame(1, 4, stream, &responses.deflate(&response(&id))));
        }
        for start in (0..content).step_by(16384) {
            let last = start + 16384 >= content;
            let part = vec![b'x'; (content - start).min(16384)];
            answered.extend(
                streams
                    .clone()
                    .flat_map(|stream| frame(0, u8::from(last), stream, &part)),
            );
        }
        calls.push((Direction::Read, asked));
        calls.extend(answered.chunks(64 * 1024).map(|call| (Direction::Write, call.to_vec())));
    }
    calls
}

/// A request like those of browsers.
pub fn request<'a>(path: &'a str, id: &'a str) -> [(&'a str, &'a str); 15] {
    [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "www.example.com"),
        (":path", path),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        ),
        (
            "accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        ),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-US,en;q=0.9,de;q=0.8"),
        ("cache-control", "no-cache"),
        ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
        ("referer", "https://www.example.com/assets/app/"),
        ("sec-fetch-dest", "script"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-site", "same-origin"),
        ("x-request-id", id),
    ]
}

fn response(id: &str) -> [(&str, &str); 7] {
    [
        (":status", "200"),
        ("server", "nginx/1.22.1"),
        ("date", "Sat, 21 Nov 2026 07:45:00 GMT"),
        ("content-type", "application/javascript"),
        ("etag", "\"67a1b2c3-64\""),
        ("cache-control", "max-age=3600"),
        ("x-request-id", id),
    ]
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}
