//! Records with the current position of each connection, written after losses and at the end of the trace. A loss shows
//! as a jump of the position in the next record; bytes that are lost at the end of a connection have no next record.

use anyhow::Result;
use tracer_ebpf::{Kind, SiteCounters};
use zerocopy::IntoBytes as _;

use super::Follower;
use crate::clock::now_ns;

/// When positions are reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    /// If something was lost since the last report.
    AfterLoss,
    /// If anything was lost during the trace.
    AtEnd,
}

impl Follower {
    /// Reports the position of each connection. Must run before a sweep, which removes the connections of exited
    /// processes.
    pub(super) fn report_positions(&mut self, when: When) -> Result<()> {
        let lost = self.probes.losses()?.iter().map(lost_bytes).sum();
        if !self.loss_tracker.update(lost) && (when == When::AfterLoss || lost == 0) {
            return Ok(());
        }
        let mut positions = self.probes.reached()?;
        // Read the clock after the positions: it must not be earlier than the records that advanced them.
        let now_ns = now_ns();
        for record in &mut positions {
            record.header.ts_ns = now_ns;
            if self.sweeps.has_ended(record.header.tgid, record.header.generation) {
                record.header.kind = Kind::END;
            }
            self.output.add_record(record.as_bytes());
        }
        Ok(())
    }

    /// Reports the final position of each connection at the end of the trace.
    pub(crate) fn report_final_positions(&mut self) -> Result<()> {
        self.report_positions(When::AtEnd)
    }
}

const fn lost_bytes(counters: &SiteCounters) -> u64 {
    counters.ring_full_bytes + counters.fault_bytes
}
