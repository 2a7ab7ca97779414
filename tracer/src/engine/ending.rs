//! The end of a trace: nothing more is captured, and what was has a second to come out.
//!
//! In: a session that was stopped. Out: the totals, and detached probes. Nothing here waits for a thread without a limit
//! or a signal that ends the waiting: neither for one that follows, nor for one that decodes, nor for one that writes to
//! a reader who has stalled.

use std::{
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::time::sleep;
use tracer_capture::session::Detaching;
use tracer_observe::{batch::Totals, pipeline::Flow};

use super::session::{Session, Stop};
use crate::{
    messages::say,
    outcome::Outcome,
    totals::{say_missing, say_totals},
};

/// How long what is buffered has to be decoded and written.
const GRACE: Duration = Duration::from_secs(1);

/// How long the kernel has to take the probes away, from the stop on; what it has not by then goes with the process.
const DETACH: Duration = Duration::from_millis(1400);

/// How often it is checked whether a thread is ready.
const STEP: Duration = Duration::from_millis(2);

/// Until when something is waited for; without a time, until a signal.
#[derive(Clone, Copy, Debug)]
struct Limit(Option<Instant>);

impl Limit {
    /// Waits until something is so; returns whether it is, or the time is over.
    async fn wait(self, mut is_so: impl FnMut() -> bool) -> bool {
        loop {
            if is_so() {
                return true;
            }
            if self.0.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            sleep(STEP).await;
        }
    }
}

/// Ends a session. What was asked to stop has [`GRACE`]; what ended by itself has the time its reader takes.
pub(super) async fn end(mut session: Session, stop: Stop) -> Result<Outcome> {
    let began = Instant::now();
    let limit = Limit((stop == Stop::Asked).then_some(began + GRACE));
    session.capture.stop_reporting()?;
    session.capture.stop_following();
    limit
        .wait(|| session.hand_over() == Flow::Done || session.capture.is_over())
        .await;
    limit.wait(|| session.capture.is_over()).await;
    let (totals, missing, detaching) = if let Some(detaching) = session.capture.detach()? {
        let Detaching {
            totals,
            missing,
            thread,
        } = detaching;
        (totals, missing, Some(thread))
    } else {
        say("what was lost is not known: following did not come to its end in time");
        (Totals::default(), Vec::new(), None)
    };
    limit.wait(|| session.hand_over_rest()).await;
    let Session { capture, mut work, .. } = session;
    work.conclude(totals);
    limit.wait(|| work.is_over()).await;
    let undecoded = capture.left_over() + work.undecoded();
    let unwritten = work.unwritten();
    let summary = work.end()?;
    say_unfinished(undecoded, unwritten);
    say_missing(&missing, summary.as_ref());
    say_totals(summary.as_ref(), totals);
    Limit(Some(began + DETACH))
        .wait(|| detaching.as_ref().is_none_or(JoinHandle::is_finished))
        .await;
    let enough = summary.is_some_and(|summary| summary.enough == Flow::Done);
    if stop == Stop::AllEnded && !enough {
        say("every traced process has ended");
        return Ok(Outcome::Failed);
    }
    Ok(Outcome::Done)
}

fn say_unfinished(undecoded: u64, unwritten: u64) {
    if undecoded > 0 {
        say(&format!("bytes not decoded in time for the end: {undecoded}"));
    }
    if unwritten > 0 {
        say(&format!("lines not written, nobody read them: {unwritten}"));
    }
}
