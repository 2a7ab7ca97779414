//! How a trace ended, as far as that is known: a second signal may end it at any time.

use std::{cell::Cell, time::Instant};

use tracer_observe::{
    audit::Ended,
    batch::Totals,
    pipeline::{Flow, Summary},
};

use super::session::Stop;
use crate::audit::Ending;

/// What is known so far.
pub(super) struct Known {
    began: Instant,
    ended: Cell<Option<Ended>>,
    exchanges: Cell<Option<u64>>,
    lost: Cell<Option<Totals>>,
    processes: Cell<Option<u64>>,
}

impl Known {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            ended: Cell::default(),
            exchanges: Cell::default(),
            lost: Cell::default(),
            processes: Cell::default(),
        }
    }

    /// Takes note of why draining stopped. A consumer that takes no more has reached its limit, or nobody reads its output.
    pub(super) fn stopped(&self, stop: Stop, summary: Option<&Summary>) {
        let has_enough = summary.is_some_and(|summary| summary.enough == Flow::Done);
        self.ended.set(Some(match stop {
            Stop::Requested(ended) => ended,
            Stop::Enough | Stop::AllEnded if has_enough => Ended::Count,
            Stop::Enough => Ended::OutputClosed,
            Stop::AllEnded => Ended::ProcessesEnded,
        }));
        self.counted(summary);
    }

    /// Takes note of what was lost, and of how many processes were traced.
    pub(super) fn detached(&self, lost: Totals, processes: u64) {
        self.lost.set(Some(lost));
        self.processes.set(Some(processes));
    }

    /// Takes note of what was printed.
    pub(super) fn counted(&self, summary: Option<&Summary>) {
        self.exchanges.set(summary.map(|summary| summary.exchanges));
    }

    /// Returns how the trace ended. One that did not stop by itself or by a signal has failed.
    pub(super) fn ending(&self) -> Ending {
        Ending {
            ended: self.ended.get().unwrap_or(Ended::Error),
            began: self.began,
            exchanges: self.exchanges.get(),
            lost: self.lost.get(),
            processes: self.processes.get(),
        }
    }

    /// Takes note that it failed.
    pub(super) fn failed(&self) {
        self.ended.set(Some(Ended::Error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_end_has_a_name() {
        let known = Known::begin();
        assert_eq!(known.ending().ended, Ended::Error);
        let enough = Summary {
            exchanges: 5,
            enough: Flow::Done,
            ..Summary::default()
        };
        for (stop, summary, ended) in [
            (Stop::Requested(Ended::Reload), None, Ended::Reload),
            (Stop::Requested(Ended::Signal), Some(&enough), Ended::Signal),
            (Stop::Enough, Some(&enough), Ended::Count),
            (Stop::Enough, Some(&Summary::default()), Ended::OutputClosed),
            (Stop::AllEnded, None, Ended::ProcessesEnded),
            (Stop::AllEnded, Some(&enough), Ended::Count),
        ] {
            known.stopped(stop, summary);
            assert_eq!(known.ending().ended, ended);
            assert_eq!(known.ending().exchanges, summary.map(|summary| summary.exchanges));
        }
        known.failed();
        assert_eq!(known.ending().ended, Ended::Error);
    }
}
