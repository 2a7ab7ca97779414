//! What the follower thread hands to the draining thread, which adds it to the next batch.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tracer_observe::{
    batch::SiteEntry,
    health::{Figures, Subject},
};

/// Output of the follower, shared between the two threads.
#[derive(Debug, Default)]
pub(crate) struct FollowOutput {
    sites: Mutex<Vec<SiteEntry>>,
    records: Mutex<Vec<Vec<u8>>>,
    health: Mutex<BTreeMap<Subject, Figures>>,
    all_ended: AtomicBool,
}

impl FollowOutput {
    /// Adds sites. Their probes may be attached only afterwards, so that no record precedes its site.
    pub(super) fn add_sites(&self, new: impl IntoIterator<Item = SiteEntry>) {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        sites.extend(new);
    }

    pub(crate) fn take_sites(&self) -> Vec<SiteEntry> {
        take(&mut *self.sites.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a record in place of one that the kernel could not write.
    pub(crate) fn add_record(&self, record: &[u8]) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record.to_vec());
    }

    pub(crate) fn take_records(&self) -> Vec<Vec<u8>> {
        take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the pending figures of a subject; `dropped` adds up until they are taken.
    pub(crate) fn add_health(&self, subject: Subject, figures: Figures) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let before = health.get(&subject).map_or(0, |before| before.dropped);
        let dropped = figures.dropped.saturating_add(before);
        health.insert(subject, Figures { dropped, ..figures });
    }

    pub(crate) fn take_health(&self) -> Vec<(Subject, Figures)> {
        let health = take(&mut *self.health.lock().unwrap_or_else(PoisonError::into_inner));
        health.into_iter().collect()
    }

    pub(super) fn set_all_ended(&self, all_ended: bool) {
        self.all_ended.store(all_ended, Ordering::Release);
    }

    /// Returns whether every traced process has exited and no new one can match the selection.
    pub(crate) fn all_ended(&self) -> bool {
        self.all_ended.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_health_keeps_the_last_figures_and_adds_up_dropped() {
        let output = FollowOutput::default();
        let subject = Subject::Table("calls");
        for used in 1..=1000 {
            let figures = Figures {
                used: Some(used),
                capacity: Some(1000),
                dropped: 2,
            };
            output.add_health(subject.clone(), figures);
        }
        let [(of, figures)] = <[_; 1]>::try_from(output.take_health()).unwrap();
        assert_eq!((of, figures.used, figures.dropped), (subject, Some(1000), 2000));
        assert!(output.take_health().is_empty());
    }
}
