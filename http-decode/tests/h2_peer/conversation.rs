//! A conversation of the crate `h2` with itself through a pipe.
//!
//! Streams end as planned: a reset waits until the other side has received what it must, so that the bytes do not depend on
//! scheduling.

use std::rc::Rc;
use std::time::Duration;

use http_decode::Side;
use tokio::io::duplex;
use tokio::task::LocalSet;

use crate::plan::Plan;
use crate::received::{Record, Streams};
use crate::tap::{Call, Log, Tap};
use crate::{client, server};

/// Returns the calls of the traced process, and what both peers received.
pub(crate) fn converse(plan: &Plan) -> (Vec<Call>, Streams) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let deadline = Duration::from_secs(30);
    let conversation = async { tokio::time::timeout(deadline, both(plan)).await };
    LocalSet::new()
        .block_on(&runtime, conversation)
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
        client::run(Rc::clone(&plan), client, record.clone()),
        server::run(plan, server, record.clone()),
    );
    (log.take(), record.take())
}
