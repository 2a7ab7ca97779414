//! The signals that end a trace.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Reload;
use crate::line_queue::LineQueue;

/// What a hangup (SIGHUP) does. Without either it ends the trace.
pub(super) struct Hangup {
    /// What it asks first.
    pub(super) reload: Option<Reload>,
    /// Output that it reopens, if that is a file.
    pub(super) reopened: Option<LineQueue>,
}

impl Hangup {
    /// Takes note of a hangup; returns whether it ends the trace.
    fn ends(&mut self) -> bool {
        if let Some(reload) = &mut self.reload
            && reload()
        {
            return true;
        }
        let reopens = self.reopened.as_ref().is_some_and(LineQueue::reopen);
        !reopens && self.reload.is_none()
    }
}

/// The signals, and what a hangup does.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    on_hangup: Hangup,
}

impl Signals {
    /// Installs the handlers.
    pub(super) fn new(on_hangup: Hangup) -> Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
            on_hangup,
        })
    }

    /// Waits for any of them that ends the trace.
    pub(super) async fn any(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => {}
            }
            if self.on_hangup.ends() {
                return;
            }
        }
    }
}
