//! Ends a trace: stops capturing, decodes and writes what is buffered, prints the totals and detaches.
//!
//! Every wait has a deadline or ends with a signal. A follower, a decoder, or a reader of the output that hangs cannot
//! keep tlscope running.

use std::{
    cell::Cell,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::time::sleep;
use tracer_capture::session::Detaching;
use tracer_observe::{
    batch::Totals,
    pipeline::Flow,
    redact::{Line, Redacted},
};

use super::{
    ending::Known,
    session::{Session, Stop},
};
use crate::{
    messages::{complain, say},
    outcome::Outcome,
    totals::{say_missing, say_totals},
};

/// How long buffered records and lines may take to be decoded and written after a request to stop.
const GRACE: Duration = Duration::from_secs(1);

/// How long detaching may take, from the request to stop. The kernel removes the remaining probes when the process exits.
const DETACH: Duration = Duration::from_millis(1400);

/// Interval at which conditions are checked.
const STEP: Duration = Duration::from_millis(2);

/// The end of waits, which may be set while one goes on. Until it is set, a wait ends only with its condition.
#[derive(Debug, Default)]
pub(super) struct Deadline(Cell<Option<Instant>>);

impl Deadline {
    /// Lets waits go on for [`GRACE`] from now.
    pub(super) fn begin(&self) {
        self.0.set(Some(Instant::now() + GRACE));
    }

    /// Waits for a condition; returns false if the deadline passes first.
    async fn wait(&self, mut condition: impl FnMut() -> bool) -> bool {
        loop {
            if condition() {
                return true;
            }
            if self.0.get().is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            sleep(STEP).await;
        }
    }
}

/// Ends a session. Output that is not written by the deadline is abandoned; a session that ended by itself has none, and
/// waits for its reader.
pub(super) async fn shut_down(
    mut session: Session,
    stop: Stop,
    deadline: &Deadline,
    known: &Known,
    start: Option<Redacted<Line<'static>>>,
) -> Result<Outcome> {
    let began = Instant::now();
    session.capture.stop_reporting()?;
    session.capture.stop_following();
    deadline
        .wait(|| session.drain() == Flow::Done || session.capture.is_over())
        .await;
    deadline.wait(|| session.capture.is_over()).await;
    let (totals, missing, detaching) = if let Some(detaching) = session.capture.detach()? {
        let Detaching {
            totals,
            missing,
            processes,
            thread,
        } = detaching;
        known.detached(totals, processes);
        (totals, missing, Some(thread))
    } else {
        say("losses are not known: the thread that follows processes did not stop in time");
        (Totals::default(), Vec::new(), None)
    };
    deadline.wait(|| session.drain_rest()).await;
    let Session {
        capture, mut consumer, ..
    } = session;
    consumer.conclude(totals, start.map(|start| (start, known.ending())));
    deadline.wait(|| consumer.is_over()).await;
    let undecoded = capture.left_over() + consumer.undecoded();
    let unwritten = consumer.unwritten();
    let summary = consumer.end()?;
    known.counted(summary.as_ref());
    say_unfinished(undecoded, unwritten);
    say_missing(&missing, summary.as_ref());
    say_totals(summary.as_ref(), totals);
    Deadline(Cell::new(Some(began + DETACH)))
        .wait(|| detaching.as_ref().is_none_or(JoinHandle::is_finished))
        .await;
    let has_enough = summary.is_some_and(|summary| summary.enough == Flow::Done);
    if stop == Stop::AllEnded && !has_enough {
        complain("every traced process has ended");
        return Ok(Outcome::Failed);
    }
    Ok(Outcome::Done)
}

fn say_unfinished(undecoded: u64, unwritten: u64) {
    if undecoded > 0 {
        say(&format!("bytes not decoded in time: {undecoded}"));
    }
    if unwritten > 0 {
        say(&format!("lines not written, nobody read them: {unwritten}"));
    }
}
