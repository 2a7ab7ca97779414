//! Messages that are held back while a user interface has the terminal.

use std::sync::{Mutex, PoisonError};

use super::{format_line, write};
use crate::limits::MAX_HELD_MESSAGES;

static HELD: Mutex<Option<Held>> = Mutex::new(None);

#[derive(Default)]
struct Held {
    lines: Vec<String>,
    /// Messages beyond the bound.
    dropped: u64,
    /// The latest one, until the user has seen it.
    latest: String,
}

/// Holds back all later messages.
pub(crate) fn hold() {
    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Held::default());
}

/// Prints what was held back, and prints all later messages at once.
pub(crate) fn release() {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Held { lines, dropped, .. }) = held else {
        return;
    };
    for line in lines {
        write(&line);
    }
    if dropped > 0 {
        write(&format_line(&format!(
            "messages dropped, too many were held back: {dropped}"
        )));
    }
}

/// Returns the latest message that is held back, or nothing once the user has seen it.
pub(crate) fn latest() -> String {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.as_ref().map(|held| held.latest.clone()).unwrap_or_default()
}

/// Notes that the user has seen the latest message.
pub(crate) fn forget_latest() {
    if let Some(held) = &mut *HELD.lock().unwrap_or_else(PoisonError::into_inner) {
        held.latest.clear();
    }
}

/// Holds back a line; returns false if messages are not held back.
pub(super) fn keep(line: &str) -> bool {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(held) = &mut *held else {
        return false;
    };
    if held.lines.len() < MAX_HELD_MESSAGES {
        held.lines.push(line.to_owned());
    } else {
        held.dropped += 1;
    }
    line.trim_end().clone_into(&mut held.latest);
    true
}
