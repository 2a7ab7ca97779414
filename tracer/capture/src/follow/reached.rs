//! How far each connection has come, as records, after each loss and at the end: losses at the end of a connection, or of
//! all of it, show in no other record.

use anyhow::Result;
use tracer_ebpf::{Kind, SiteCounters};
use zerocopy::IntoBytes as _;

use super::Follower;
use crate::clock::now_ns;

/// Whether it is told how far connections have come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    /// If something was lost since it was last told.
    AfterLoss,
    /// If anything was lost at all.
    AtEnd,
}

impl Follower {
    /// Tells whoever drains how far the connections have come; before the tables are swept, so that it is told of those
    /// whose process has ended, too.
    pub(super) fn tell_reached(&mut self, when: When) -> Result<()> {
        let lost = self.probes.losses()?.iter().map(lost_bytes).sum();
        if !self.losses.is_news(lost) && (when == When::AfterLoss || lost == 0) {
            return Ok(());
        }
        let mut reached = self.probes.reached()?;
        // Read after the positions: the records that made them are earlier.
        let now_ns = now_ns();
        for record in &mut reached {
            record.header.ts_ns = now_ns;
            if self.sweeps.has_ended(record.header.tgid, record.header.generation) {
                record.header.kind = Kind::END;
            }
            self.output.add_record(record.as_bytes());
        }
        Ok(())
    }

    /// Tells how far the connections have come, at the end.
    pub(crate) fn tell_last(&mut self) -> Result<()> {
        self.tell_reached(When::AtEnd)
    }
}

const fn lost_bytes(counters: &SiteCounters) -> u64 {
    counters.ring_full_bytes + counters.fault_bytes
}
