//! Losses that no record of their connection will show: those at its end, or of all of it.
//!
//! In: what the kernel counted as lost. Out: how far each connection has come, as records, after each loss and at the end,
//! so that every lost byte is told, with its place, while the tracing goes on.

use anyhow::Result;
use tracer_ebpf::{Kind, SiteCounters};
use zerocopy::IntoBytes as _;

use super::Follower;
use crate::clock::now_ns;

/// What was counted when it was last read, and the time before that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    last: u64,
    before: u64,
}

impl Losses {
    /// Takes what is counted now; returns whether something was lost since the time before last. A program counts a loss
    /// before it notes that the bytes have passed, so one look may come too early.
    const fn is_news(&mut self, lost: u64) -> bool {
        let is_news = lost != self.before;
        self.before = self.last;
        self.last = lost;
        is_news
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_looked_at_twice_and_then_no_more() {
        let mut losses = Losses::default();
        let news: Vec<bool> = [0, 5, 5, 5, 9, 9, 9].map(|lost| losses.is_news(lost)).into();
        assert_eq!(news, [false, true, true, false, true, true, false]);
    }
}
