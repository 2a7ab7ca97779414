//! What is said at the end: what could not be used, and the one line of totals. Leaves out what did not occur.

#[cfg(feature = "live")]
use tracer_capture::attach::Missing;
use tracer_observe::{batch::Totals, pipeline::Summary};

use crate::messages::say;

/// Says what the kernel does not offer and few programs need, if a connection of theirs had no addresses in time.
#[cfg(feature = "live")]
pub(crate) fn say_missing(missing: &[Missing], summary: Option<&Summary>) {
    let unaddressed =
        summary.is_some_and(|Summary { counters, .. }| counters.addresses_late > 0 || counters.addresses_never > 0);
    for missing in missing.iter().filter(|missing| unaddressed && missing.is_rare()) {
        say(&missing.to_string());
    }
}

/// Says what could not be used, then the one line of totals.
pub(crate) fn say_totals(summary: Option<&Summary>, totals: Totals) {
    let Totals {
        lost_records,
        lost_bytes,
    } = totals;
    let Summary {
        exchanges,
        half,
        dropped,
        counters,
        forgotten_ends,
        verbose,
        enough: _,
    } = summary.copied().unwrap_or_default();
    for line in counters.lines() {
        say(&line);
    }
    if verbose {
        for line in counters.decoding_lines() {
            say(&format!("decoding: {line}"));
        }
    }
    if dropped > 0 {
        say(&format!("lines dropped, their reader had stalled: {dropped}"));
    }
    if forgotten_ends > 0 {
        say(&format!(
            "ends of exchanges not printed, too many were open at once: {forgotten_ends}"
        ));
    }
    say(&format!(
        "exchanges={exchanges} half={half} lost_records={lost_records} lost_bytes={lost_bytes}"
    ));
}
