//! The signals that end a trace.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracer_observe::audit::Ended;

use super::Reload;
use crate::{hangups, line_queue::LineQueue};

/// What a hangup (SIGHUP) does. Without either it ends the trace.
pub(super) struct Hangup {
    /// What it asks first.
    pub(super) reload: Option<Reload>,
    /// Output that it reopens, if that is a file.
    pub(super) reopened: Option<LineQueue>,
}

impl Hangup {
    /// Takes note of a hangup; returns why it ends the trace, if it does.
    fn ends(&mut self) -> Option<Ended> {
        if let Some(reload) = &mut self.reload
            && reload()
        {
            return Some(Ended::Reload);
        }
        let reopens = self.reopened.as_ref().is_some_and(LineQueue::reopen);
        (!reopens && self.reload.is_none()).then_some(Ended::Signal)
    }
}

/// How long after a signal another one is the same request: `timeout` sends its signal to tlscope and then to the process group
/// that tlscope is in, and both arrive within microseconds. Nobody presses ^C twice as fast.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// Tells requests to end apart.
#[derive(Debug, Default)]
struct Requests {
    /// When the last one was made.
    last: Option<Instant>,
}

impl Requests {
    /// Takes note of a signal that asks to end; returns whether it is a new request.
    fn is_new(&mut self, now: Instant) -> bool {
        let is_same = |last: Instant| now.saturating_duration_since(last) < SAME_REQUEST;
        if self.last.is_some_and(is_same) {
            return false;
        }
        self.last = Some(now);
        true
    }
}

/// The signals, and what a hangup does.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    on_hangup: Hangup,
    requests: Requests,
}

impl Signals {
    /// Installs the handlers. A hangup that was [held back](hangups::hold) follows.
    pub(super) fn new(on_hangup: Hangup) -> Result<Self> {
        let signals = Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            on_hangup,
            requests: Requests::default(),
        };
        hangups::release()?;
        Ok(signals)
    }

    /// Waits for any of them that ends the trace, and is not part of an earlier request to do so; returns why it does.
    pub(super) async fn any(&mut self) -> Ended {
        loop {
            let ended = tokio::select! {
                _ = self.interrupt.recv() => Some(Ended::Signal),
                _ = self.terminate.recv() => Some(Ended::Signal),
                _ = self.hangup.recv() => self.on_hangup.ends(),
            };
            let Some(ended) = ended else { continue };
            // What follows a reload is no part of it.
            if ended == Ended::Reload || self.requests.is_new(Instant::now()) {
                return ended;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_arrive_together_are_one_request_and_a_later_one_is_another() {
        let first = Instant::now();
        let mut requests = Requests::default();
        let mut is_new = |millis| requests.is_new(first + Duration::from_millis(millis));
        assert_eq!(
            [0, 0, 1, 99, 100, 150, 250].map(&mut is_new),
            [true, false, false, false, true, false, true]
        );
    }
}
