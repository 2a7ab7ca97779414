//! Lets the crate `h2` talk to itself through a pipe.
//!
//! In: a [`Plan`]. Out: the calls of the traced process, and what both peers received. Streams end as planned: a reset
//! waits until the other side has what it is to have, so that what passes does not depend on chance.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http_decode::Side;
use tokio::io::duplex;
use tokio::task::{LocalSet, yield_now};

use crate::dice::Dice;
use crate::fields::header_map;
use crate::heard::{End, Record, Streams, fields};
use crate::plan::{Body, Plan};
use crate::tap::{Call, Log, Tap};
use crate::{ask, serve};

pub(crate) fn talk(plan: &Plan) -> (Vec<Call>, Streams) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let deadline = Duration::from_secs(30);
    let talking = async { tokio::time::timeout(deadline, both(plan)).await };
    LocalSet::new()
        .block_on(&runtime, talking)
        .expect("the peers come to an end")
}

async fn both(plan: &Plan) -> (Vec<Call>, Streams) {
    let (client, server) = duplex(plan.pipe);
    let (log, record) = (Log::default(), Record::default());
    let tap = |pipe, side| Tap {
        pipe,
        log: (plan.traced == side).then(|| log.clone()),
        vectored: plan.vectored,
    };
    let (client, server) = (tap(client, Side::Client), tap(server, Side::Server));
    let plan = Rc::new(plan.clone());
    tokio::join!(
        ask::run(Rc::clone(&plan), client, record.clone()),
        serve::run(plan, server, record.clone()),
    );
    (log.take(), record.take())
}

/// Lets others go on, so many times.
pub(crate) async fn pause(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// Waits for something that the other side does.
pub(crate) async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        yield_now().await;
    }
}

/// Sends what follows a head. An error is the other side's reset, which the plan knows of.
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

/// Sends some of a body and leaves it open.
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

/// Random bytes; some begin like a frame whose end does not lie where they end.
fn content(bytes: usize) -> Bytes {
    let mut dice = Dice::new(bytes as u64);
    let mut content = dice.bytes(bytes);
    if dice.percent(30)
        && let Some(first) = content.first_chunk_mut()
    {
        let [.., high, low] = (1 + dice.below(16_384)).to_be_bytes();
        *first = [0, high, low, 0, 0, 0, 0, 0, low | 1];
    }
    content.into()
}
