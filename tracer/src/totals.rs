//! Messages at the end of a command: counters that are not zero, and the line of totals.

#[cfg(feature = "live")]
use tracer_capture::attach::Missing;
use tracer_observe::{batch::Totals, pipeline::Summary};

use crate::messages::say;

/// Prints which rarely needed parts this kernel lacks, if a connection had no addresses or got them late.
#[cfg(feature = "live")]
pub(crate) fn say_missing(missing: &[Missing], summary: Option<&Summary>) {
    let unaddressed =
        summary.is_some_and(|Summary { counters, .. }| counters.addresses_late > 0 || counters.addresses_never > 0);
    for missing in missing.iter().filter(|missing| unaddressed && missing.is_rare()) {
        say(&missing.to_string());
    }
}

/// Prints the counters, then the line of totals.
pub(crate) fn say_totals(summary: Option<&Summary>, totals: Totals) {
    let Totals {
        lost_records,
        lost_bytes,
    } = totals;
    let Summary {
        exchanges,
        half,
        dropped,
        unwritten,
        unexported,
        counters,
        forgotten_ends,
        sampled_out,
        rate_limited,
        alerts,
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
    if unwritten > 0 {
        say(&format!("lines dropped, there was no room for them: {unwritten}"));
    }
    if unexported > 0 {
        say(&format!("lines not exported: {unexported}"));
    }
    if forgotten_ends > 0 {
        say(&format!(
            "ends of exchanges not printed, too many were open at once: {forgotten_ends}"
        ));
    }
    let left_out: String = [
        ("sampled_out", sampled_out),
        ("rate_limited", rate_limited),
        ("alerts", alerts),
    ]
    .into_iter()
    .filter_map(|(name, count)| count.map(|count| format!(" {name}={count}")))
    .collect();
    say(&format!(
        "exchanges={exchanges} half={half} lost_records={lost_records} lost_bytes={lost_bytes}{left_out}"
    ));
}
