//! What both peers need to send and receive.

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::task::yield_now;

use crate::fields::header_map;
use crate::plan::Body;
use crate::random::Random;
use crate::received::{End, fields};

/// The field that tells which planned stream a request belongs to.
pub(crate) const ID: &str = "x-id";

/// Yields to other tasks this many times.
pub(crate) async fn pause(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// Yields until a condition holds.
pub(crate) async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        yield_now().await;
    }
}

/// Sends a body. An error is a reset by the other side, as planned.
pub(crate) async fn send(out: &mut SendStream<Bytes>, body: &Body) -> Result<(), h2::Error> {
    for (index, piece) in body.pieces.iter().enumerate() {
        let last = index + 1 == body.pieces.len() && body.trailers.is_none() && !body.closing;
        out.send_data(content(*piece), last)?;
        pause(body.pause).await;
    }
    match &body.trailers {
        Some(trailers) => out.send_trailers(header_map(trailers)),
        None if body.closing => out.send_data(Bytes::new(), true),
        None => Ok(()),
    }
}

/// Sends the beginning of a body and leaves it open.
pub(crate) fn send_some(out: &mut SendStream<Bytes>, body: &Body) -> Result<(), h2::Error> {
    let piece = body.pieces.first().copied().unwrap_or(1);
    out.send_data(content(piece), false)
}

/// Receives a body to its end, or to a reset.
pub(crate) async fn receive(body: &mut RecvStream) -> Option<End> {
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        bytes += data.len() as u64;
        body.flow_control().release_capacity(data.len()).ok()?;
    }
    let trailers = body.trailers().await.ok()?.map(|map| fields(&map)).unwrap_or_default();
    Some(End { bytes, trailers })
}

/// Returns random bytes. Some begin like a frame whose end is not where they end.
fn content(bytes: usize) -> Bytes {
    let mut random = Random::new(bytes as u64);
    let mut content = random.bytes(bytes);
    if random.percent(30)
        && let Some(first) = content.first_chunk_mut()
    {
        let [.., high, low] = (1 + random.below(16_384)).to_be_bytes();
        *first = [0, high, low, 0, 0, 0, 0, 0, low | 1];
    }
    content.into()
}
