//! Formats the kernel's loss counters: how much was lost, at which site, and why.

use anyhow::Result;
use tracer_ebpf::{KernelCounters, SiteCounters};
use tracer_observe::batch::Totals;

use crate::{attach::Probes, message::Messages};

/// Prints each loss counter that is not zero; returns the sums.
pub(crate) fn say_losses(probes: &mut Probes, messages: Messages) -> Result<Totals> {
    let mut totals = Totals::default();
    let counted = probes.losses()?;
    for (site, counters) in probes.sites().iter().zip(counted) {
        for (cause, records, bytes) in site_losses(&counters) {
            totals.lost_records += records;
            totals.lost_bytes += bytes;
            if records > 0 {
                let path = site.path.display();
                messages.say(&format!(
                    "lost at {} of {path}: {records} records, {bytes} bytes: {cause}",
                    site.function
                ));
            }
        }
        if counters.over_limit_bytes > 0 {
            let bytes = counters.over_limit_bytes;
            messages.say(&format!(
                "left out at {}: {bytes} bytes over the limit per call (--call-bytes)",
                site.function
            ));
        }
    }
    for (loss, count) in other_losses(&probes.totals()?) {
        if count > 0 {
            messages.say(&format!("{loss}: {count}"));
        }
    }
    Ok(totals)
}

/// Returns the losses that belong to no site.
const fn other_losses(totals: &KernelCounters) -> [(&'static str, u64); 6] {
    let KernelCounters {
        target_table_full,
        lifecycle_ring_full,
        socket_table_full,
        ciphertext_table_full,
        thread_table_full,
        hits_ignored,
        // Not a loss.
        threads_ended: _,
    } = *totals;
    [
        ("processes not traced, too many at once", target_table_full),
        ("process events lost, too many at once", lifecycle_ring_full),
        ("ends of sockets not noticed, too many at once", socket_table_full),
        (
            "pieces of ciphertext not searched for, too many at once",
            ciphertext_table_full,
        ),
        (
            "calls whose ciphertext is not searched for, too many threads at once",
            thread_table_full,
        ),
        ("probe hits ignored, role or object unknown", hits_ignored),
    ]
}

/// Returns the losses of a site: cause, records, bytes.
const fn site_losses(counters: &SiteCounters) -> [(&'static str, u64, u64); 7] {
    let SiteCounters {
        ring_full_records,
        ring_full_bytes,
        fault_records,
        fault_bytes,
        over_limit_bytes: _,
        connection_table_full,
        call_table_full,
        count_unreadable,
        implausible,
        mismatches,
        confirmed: _,
    } = *counters;
    [
        ("the ring was full", ring_full_records, ring_full_bytes),
        ("the page was not present", fault_records, fault_bytes),
        ("too many connections", connection_table_full, 0),
        ("too many calls in flight", call_table_full, 0),
        ("the count could not be read", count_unreadable, 0),
        ("the hook brought no content of a record", implausible, 0),
        ("the calls moved another number of bytes", mismatches, 0),
    ]
}
