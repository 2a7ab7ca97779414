//! Waiting for a condition, never for a time.
//!
//! In: a condition and a deadline. Out: what the condition gave. Refuses to wait longer than the deadline: that is an
//! error which names what was waited for.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Far longer than anything takes that works.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How often a condition that nobody announces is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `condition` gives something.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if began.elapsed() > DEADLINE {
            bail!("waited {DEADLINE:?} in vain: {what}");
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Waits until `condition` holds.
pub fn until_true(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    until(what, || Ok(condition()?.then_some(())))
}
