//! Waits for conditions.
//!
//! Tests never sleep for a fixed time. They wait for a condition, and fail after a deadline with a description of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// The deadline, far longer than any condition takes in a passing test.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// The interval between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` returns a value.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if began.elapsed() > DEADLINE {
            bail!("timed out after {DEADLINE:?}: {what}");
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Waits until `condition` holds.
pub fn until_true(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, || Ok(condition()?.then_some(())))
}
