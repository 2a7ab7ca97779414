//! What is counted, shared by the sink that counts and the server that answers.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracer_observe::{
    correlate::FunctionRecords,
    health::{Figures, Subject},
    redact::{AlertLine, HooksLine, LossLine},
};

use super::rows::{ActiveLabels, Labels, Others, Row, Rows};

/// The counts, and when the pipeline last said that it is alive.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    rows: Rows,
    own: Own,
    ticked: Instant,
}

/// Figures of tlscope.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// By cause: how many losses, and their bytes as far as known.
    pub(super) losses: BTreeMap<&'static str, (u64, u64)>,
    /// By subject, the latest figures, with all that was dropped since the start.
    pub(super) health: BTreeMap<Subject, Figures>,
    /// By kind and cause.
    pub(super) refused_hooks: BTreeMap<(&'static str, &'static str), u64>,
    /// By rule and severity: as many as the policy has rules.
    pub(super) alerts: BTreeMap<(String, &'static str), u64>,
    /// Of each function with hooks.
    pub(super) records: Vec<FunctionRecords>,
}

/// A copy of the counts.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) rows: Vec<(Labels, Row)>,
    pub(super) others: Others,
    pub(super) open: usize,
    pub(super) active: Vec<(ActiveLabels, u64)>,
    pub(super) forgotten: u64,
    pub(super) own: Own,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            rows: Rows::default(),
            own: Own::default(),
            ticked: Instant::now(),
        }))
    }

    /// Lets the rows be counted in.
    pub(super) fn count(&self, count: impl FnOnce(&mut Rows)) {
        count(&mut self.lock().rows);
    }

    pub(super) fn loss(&self, line: &LossLine<'_>) {
        let mut state = self.lock();
        let (losses, bytes) = state.own.losses.entry(line.cause).or_default();
        *losses += 1;
        *bytes = bytes.saturating_add(line.bytes.unwrap_or(0));
    }

    pub(super) fn refused_hooks(&self, line: &HooksLine<'_>) {
        *self
            .lock()
            .own
            .refused_hooks
            .entry((line.name, line.cause))
            .or_default() += 1;
    }

    pub(super) fn alert(&self, line: &AlertLine<'_>) {
        let key = (line.rule.to_string(), line.severity);
        *self.lock().own.alerts.entry(key).or_default() += 1;
    }

    pub(super) fn health(&self, subject: &Subject, figures: &Figures) {
        let Figures {
            used,
            capacity,
            dropped,
        } = *figures;
        let mut state = self.lock();
        let known = state.own.health.entry(subject.clone()).or_default();
        // A report on drops alone has neither, and of rings that are all empty none is the fullest.
        let is_of_no_ring = *subject == Subject::Ring && used == Some(0);
        known.used = used.or(known.used);
        known.capacity = capacity.filter(|_| !is_of_no_ring).or(known.capacity);
        known.dropped = known.dropped.saturating_add(dropped);
    }

    pub(super) fn records(&self, records: &[FunctionRecords]) {
        let mut state = self.lock();
        state.own.records.clear();
        state.own.records.extend_from_slice(records);
    }

    /// Takes note that the pipeline is alive.
    pub(super) fn tick(&self) {
        self.lock().ticked = Instant::now();
    }

    /// Returns whether the pipeline has been alive lately.
    pub(super) fn is_alive(&self) -> bool {
        self.lock().ticked.elapsed() < STALLED
    }

    /// Copies the counts. What is slow is done with the copy: nobody who reads them holds up the pipeline.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            rows: state.rows.copied(),
            others: state.rows.others(),
            open: state.rows.open(),
            active: state.rows.active(),
            forgotten: state.rows.forgotten(),
            own: state.own.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Live, a batch comes several times a second, also if nothing is captured.
const STALLED: Duration = Duration::from_secs(30);
