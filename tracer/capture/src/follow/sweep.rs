//! Sweeping the BPF tables: entries of a process that exited are gone within a second. A table that is nearly full or
//! refuses insertions is reported as a message and as health.

use std::time::Instant;

use anyhow::Result;
use tracer_observe::health::{Figures, Subject};

use super::{Follower, positions::When};
use crate::{
    attach::{Ends, Fill, Swept, Table, Threads},
    target::{thread_has_ended, threads_of},
};

impl Follower {
    /// Sweeps the tables if a sweep is due.
    pub(super) fn sweep_tables(&mut self) -> Result<()> {
        let began = Instant::now();
        if self.sweeps.next() > began {
            return Ok(());
        }
        self.report_positions(When::AfterLoss)?;
        let totals = self.probes.totals()?;
        let threads_ended = totals.threads_ended != self.sweeps.threads_ended;
        let result = self.probes.sweep(Ends {
            processes: &self.sweeps.ended,
            threads: threads_ended.then_some(Threads {
                of_process: threads_of,
                has_ended: thread_has_ended,
            }),
            suspects: &self.sweeps.suspects,
        });
        // Set before the result is checked: a sweep that fails is not retried without a pause.
        self.sweeps.swept = Instant::now();
        self.sweeps.took = began.elapsed();
        let Swept {
            fills,
            suspects,
            left_over,
            abandoned,
        } = result?;
        self.sweeps.threads_ended = totals.threads_ended;
        self.sweeps.ended.clear();
        self.sweeps.suspects = suspects;
        self.sweeps.left_over += left_over;
        self.sweeps.abandoned += abandoned;
        self.report_fills(&fills)
    }

    fn report_fills(&mut self, fills: &[Fill]) -> Result<()> {
        let totals = self.probes.totals()?;
        let sites = self.probes.losses()?;
        let lost = sites.iter().map(|site| site.ring_full_records).sum();
        let dropped = self.sweeps.newly_refused(Subject::Ring, lost);
        if dropped > 0 {
            let figures = Figures {
                dropped,
                ..Figures::default()
            };
            self.output.add_health(Subject::Ring, figures);
        }
        let now = Instant::now();
        for fill in fills {
            let refused = match fill.table {
                Table::Targets => totals.target_table_full,
                Table::Calls => sites.iter().map(|site| site.call_table_full).sum(),
                Table::Connections => sites.iter().map(|site| site.connection_table_full).sum(),
                Table::Skips => self.probes.skips_refused(),
                Table::Threads => totals.thread_table_full,
                Table::Ciphertexts => totals.ciphertext_table_full,
                Table::Sockets => totals.socket_table_full,
            };
            let subject = Subject::Table(fill.table.label());
            let figures = Figures {
                used: fill.used.try_into().ok(),
                capacity: fill.room.try_into().ok(),
                dropped: self.sweeps.newly_refused(subject.clone(), refused),
            };
            self.output.add_health(subject, figures);
            if let Some(warning) = self.sweeps.warn(*fill, refused, now) {
                self.messages.say(&warning);
            }
        }
        Ok(())
    }
}
