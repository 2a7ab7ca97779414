//! The health of the tracer itself: rings, tables and the output that are nearly full or drop data.
//!
//! A live run has no end at which totals are read, so [`Watch`] reports each change of state while the tracer runs, at most
//! once a second for each subject.

use std::{collections::BTreeMap, time::SystemTime};

/// Minimum time between two reports on one subject, in nanoseconds.
const QUIET_NS: u64 = 1_000_000_000;

/// A report on the health of the tracer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// When it was noticed.
    pub time: SystemTime,
    /// The subject.
    pub subject: Subject,
    /// Its state.
    pub state: State,
    /// Its figures.
    pub figures: Figures,
}

/// The subject of a health report.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// The fullest ring.
    Ring,
    /// A BPF map, by what it holds.
    Table(&'static str),
    /// The output.
    Output,
    /// The limit on the rate of exchanges that the user has set.
    RateLimit,
    /// The policy, of whose rules each counts a bounded number of keys.
    Policy,
    /// What passes lines on beside the output.
    Export(Export),
}

http_decode::named_enum! {
    /// What passes lines on beside the output.
    #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
    pub enum Export {
        /// The command of `--alert-exec`.
        AlertCommand => "alert_exec",
        /// A collector of OpenTelemetry.
        Otlp => "otlp",
        /// A syslog server.
        Syslog => "syslog",
    }
}

http_decode::named_enum! {
    /// The state of a subject.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub enum State {
        /// Recovered.
        Fine => "fine",
        /// Over nine tenths full.
        NearlyFull => "nearly_full",
        /// Data was dropped.
        Dropped => "dropped",
    }
}

/// How full a subject is, and what it dropped since the previous report. A figure that does not apply is `None`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// Bytes in use of a ring, entries in use of a table.
    pub used: Option<u64>,
    /// Bytes or entries that it has room for.
    pub capacity: Option<u64>,
    /// Records that a ring dropped, entries that a table refused, lines that the output or an export dropped, exchanges over the
    /// limit, keys that the policy forgot.
    pub dropped: u64,
}

impl Figures {
    fn state(&self) -> State {
        let nearly_full = |used: u64, capacity: u64| used.saturating_mul(10) > capacity.saturating_mul(9);
        if self.dropped > 0 {
            State::Dropped
        } else if self
            .used
            .zip(self.capacity)
            .is_some_and(|(used, capacity)| nearly_full(used, capacity))
        {
            State::NearlyFull
        } else {
            State::Fine
        }
    }
}

/// Decides when a subject is reported.
#[derive(Debug, Default)]
pub struct Watch {
    subjects: BTreeMap<Subject, Watched>,
}

#[derive(Debug)]
struct Watched {
    /// The state of the last report.
    reported: State,
    /// When the last report was made; 0 if there was none.
    reported_ns: u64,
    /// What was dropped since.
    dropped: u64,
}

impl Watch {
    /// Updates a subject at `now_ns` of the records' clock; `figures.dropped` is what it dropped since the previous call.
    /// Returns the state and the figures to report, if a report is due.
    pub fn update(&mut self, subject: &Subject, figures: Figures, now_ns: u64) -> Option<(State, Figures)> {
        let new = figures.state();
        if new == State::Fine && !self.subjects.contains_key(subject) {
            return None;
        }
        let watched = self.subjects.entry(subject.clone()).or_insert(Watched {
            reported: State::Fine,
            reported_ns: 0,
            dropped: 0,
        });
        watched.dropped = watched.dropped.saturating_add(figures.dropped);
        let figures = Figures {
            dropped: watched.dropped,
            ..figures
        };
        let state = figures.state();
        let is_news = state != watched.reported || state == State::Dropped;
        let is_due = watched.reported_ns == 0 || now_ns.saturating_sub(watched.reported_ns) >= QUIET_NS;
        if !is_news || !is_due {
            return None;
        }
        watched.reported = state;
        watched.reported_ns = now_ns;
        watched.dropped = 0;
        if state == State::Fine {
            self.subjects.remove(subject);
        }
        Some((state, figures))
    }

    /// Adds the drops of a report that could not be written to the next one.
    pub fn restore(&mut self, subject: &Subject, figures: Figures) {
        if let Some(watched) = self.subjects.get_mut(subject) {
            watched.dropped = watched.dropped.saturating_add(figures.dropped);
        }
    }

    /// Removes the subjects behind the capture at the end of the run, and returns reports of the drops that were not reported
    /// yet.
    pub fn take_last(&mut self) -> Vec<(Subject, State, Figures)> {
        let is_behind = |subject: &Subject| match subject {
            Subject::Output | Subject::RateLimit | Subject::Policy | Subject::Export(_) => true,
            Subject::Ring | Subject::Table(_) => false,
        };
        let (last, rest) = std::mem::take(&mut self.subjects)
            .into_iter()
            .partition(|(subject, _)| is_behind(subject));
        self.subjects = rest;
        let last: BTreeMap<_, Watched> = last;
        let unreported = last.into_iter().filter(|(_, watched)| watched.dropped > 0);
        unreported
            .map(|(subject, watched)| {
                let figures = Figures {
                    dropped: watched.dropped,
                    ..Figures::default()
                };
                (subject, State::Dropped, figures)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = QUIET_NS;

    fn table(used: u64, dropped: u64) -> Figures {
        Figures {
            used: Some(used),
            capacity: Some(100),
            dropped,
        }
    }

    fn states(watch: &mut Watch, steps: &[(u64, Figures)]) -> Vec<Option<(State, u64)>> {
        let subject = Subject::Table("calls");
        let mut reports = Vec::new();
        for (at_ns, figures) in steps {
            let report = watch.update(&subject, *figures, *at_ns);
            reports.push(report.map(|(state, figures)| (state, figures.dropped)));
        }
        reports
    }

    #[test]
    fn a_subject_is_reported_over_nine_tenths_and_when_it_recovers() {
        let steps = [
            (SECOND, table(90, 0)),
            (SECOND, table(91, 0)),
            (3 * SECOND, table(95, 0)),
            (4 * SECOND, table(80, 0)),
            (5 * SECOND, table(80, 0)),
        ];
        let expected = [None, Some((State::NearlyFull, 0)), None, Some((State::Fine, 0)), None];
        assert_eq!(states(&mut Watch::default(), &steps), expected);
    }

    #[test]
    fn drops_are_added_up_and_reported_once_a_second() {
        let steps = [
            (10 * SECOND, table(100, 5)),
            (10 * SECOND + 1, table(100, 6)),
            (10 * SECOND + 2, table(50, 0)),
            (11 * SECOND, table(50, 1)),
            (12 * SECOND, table(50, 0)),
        ];
        let expected = [
            Some((State::Dropped, 5)),
            None,
            None,
            Some((State::Dropped, 7)),
            Some((State::Fine, 0)),
        ];
        assert_eq!(states(&mut Watch::default(), &steps), expected);
    }

    #[test]
    fn drops_that_could_not_be_reported_are_reported_later_or_at_the_end() {
        let mut watch = Watch::default();
        let subject = Subject::Output;
        let dropped = |dropped| Figures {
            dropped,
            ..Figures::default()
        };
        let (_, figures) = watch.update(&subject, dropped(3), SECOND).unwrap();
        watch.restore(&subject, figures);
        assert_eq!(watch.update(&subject, dropped(1), SECOND + 1), None);
        watch.update(&Subject::Ring, dropped(1), SECOND).unwrap();
        watch.update(&Subject::Ring, dropped(1), SECOND);
        assert_eq!(watch.take_last(), [(subject, State::Dropped, dropped(4))]);
        assert_eq!(watch.take_last(), []);
    }

    #[test]
    fn a_subject_that_recovered_is_removed() {
        let mut watch = Watch::default();
        states(
            &mut watch,
            &[(1, table(95, 0)), (2 * SECOND, table(1, 0)), (3 * SECOND, table(1, 0))],
        );
        assert!(watch.subjects.is_empty());
    }
}
