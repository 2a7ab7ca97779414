//! Tells the service manager how a trace is, by the protocol of `sd_notify(3)`. Where there is no service manager it does nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Says that the trace has begun, from when on it shows that it goes on.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
    if let Some(longest) = sd_notify::watchdog_enabled() {
        notify(&[watchdog(longest)]);
    }
}

/// Says that another configuration is loaded: the trace ends, and begins anew.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
    // Nothing drains the rings meanwhile.
    if let Some(longest) = sd_notify::watchdog_enabled() {
        notify(&[watchdog(longest.max(LONGEST_RELOAD))]);
    }
}

/// Returns the message that changes the time after which a service counts as hanging, and begins that time anew.
fn watchdog(longest: Duration) -> NotifyState<'static> {
    NotifyState::WatchdogUsec(longest.as_micros().try_into().unwrap_or(u32::MAX))
}

/// As long as systemd gives a start by default.
const LONGEST_RELOAD: Duration = Duration::from_secs(90);

fn notify(state: &[NotifyState<'_>]) {
    // A service manager that is gone needs no news.
    let _gone = sd_notify::notify(state).is_err();
}

/// Shows the service manager that the thread which drains the rings goes on, if the unit asks for that (`WatchdogSec=`).
#[derive(Debug)]
pub(crate) struct Watchdog {
    interval: Option<Duration>,
    last: Instant,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        Self {
            // Twice as often as is needed.
            interval: sd_notify::watchdog_enabled().map(|longest| longest / 2),
            last: Instant::now(),
        }
    }

    /// Must be called often.
    pub(crate) fn feed(&mut self) {
        if self.interval.is_some_and(|interval| self.last.elapsed() >= interval) {
            self.last = Instant::now();
            notify(&[NotifyState::Watchdog]);
        }
    }
}
