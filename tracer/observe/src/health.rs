//! What is wrong with the tracing itself, while it goes on: what was dropped, and what is about to be.
//!
//! In: how full something is, and what it refused. Out: [`Health`], when that gets worse, once a second at the most, and
//! when it is over. Refuses to say the same twice.

use std::{collections::BTreeMap, time::SystemTime};

/// How far apart, in nanoseconds, two words about one subject are at the least.
const QUIET_NS: u64 = 1_000_000_000;

/// Something about the tracing itself that its user should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// When.
    pub time: SystemTime,
    /// What of.
    pub subject: Subject,
    /// How it is.
    pub state: State,
    /// Where there are figures.
    pub figures: Figures,
}

/// What may be unwell.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// The ring that is fullest.
    Ring,
    /// A table of the programs, by what it holds.
    Table(&'static str),
    /// The output.
    Output,
}

/// How a subject is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Well again.
    Fine,
    /// Over nine tenths full.
    NearlyFull,
    /// Something was refused or dropped.
    Dropped,
}

/// How full a subject is, and what it refused since it was last spoken of. What does not apply is `None`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// How much it holds: bytes of a ring, entries of a table.
    pub used: Option<u64>,
    /// How much it can hold.
    pub capacity: Option<u64>,
    /// How much it refused: records of a ring, entries of a table, lines of the output.
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

/// Decides what is worth a word.
#[derive(Debug, Default)]
pub struct Watch {
    subjects: BTreeMap<Subject, Watched>,
}

#[derive(Debug)]
struct Watched {
    /// What was last said.
    said: State,
    said_ns: u64,
    /// What was refused since.
    dropped: u64,
}

impl Watch {
    /// Takes how a subject is at a moment of the records' clock; `figures.dropped` is what it refused since the last time.
    /// Returns what is to be said, if anything.
    pub fn note(&mut self, subject: &Subject, figures: Figures, now_ns: u64) -> Option<(State, Figures)> {
        let new = figures.state();
        if new == State::Fine && !self.subjects.contains_key(subject) {
            return None;
        }
        let watched = self.subjects.entry(subject.clone()).or_insert(Watched {
            said: State::Fine,
            said_ns: 0,
            dropped: 0,
        });
        watched.dropped = watched.dropped.saturating_add(figures.dropped);
        let figures = Figures {
            dropped: watched.dropped,
            ..figures
        };
        let state = figures.state();
        let is_news = state != watched.said || state == State::Dropped;
        let is_time = watched.said_ns == 0 || now_ns.saturating_sub(watched.said_ns) >= QUIET_NS;
        if !is_news || !is_time {
            return None;
        }
        watched.said = state;
        watched.said_ns = now_ns;
        watched.dropped = 0;
        if state == State::Fine {
            self.subjects.remove(subject);
        }
        Some((state, figures))
    }

    /// Takes back what was to be said of a subject, and could not be: it is said later.
    pub fn put_back(&mut self, subject: &Subject, figures: Figures) {
        if let Some(watched) = self.subjects.get_mut(subject) {
            watched.dropped = watched.dropped.saturating_add(figures.dropped);
        }
    }

    /// Takes what a subject refused and of which nothing was said yet, at the end.
    pub fn rest(&mut self, subject: &Subject) -> Option<(State, Figures)> {
        let watched = self.subjects.remove(subject)?;
        let figures = Figures {
            dropped: watched.dropped,
            ..Figures::default()
        };
        (watched.dropped > 0).then_some((State::Dropped, figures))
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
        let mut said = Vec::new();
        for (at_ns, figures) in steps {
            let word = watch.note(&subject, *figures, *at_ns);
            said.push(word.map(|(state, figures)| (state, figures.dropped)));
        }
        said
    }

    #[test]
    fn a_subject_is_spoken_of_from_nine_tenths_on_and_when_it_is_over() {
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
    fn what_was_refused_is_added_up_and_said_once_a_second() {
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
    fn what_could_not_be_said_is_said_later_or_at_the_end() {
        let mut watch = Watch::default();
        let subject = Subject::Output;
        let dropped = |dropped| Figures {
            dropped,
            ..Figures::default()
        };
        let said = watch.note(&subject, dropped(3), SECOND).unwrap();
        watch.put_back(&subject, said.1);
        assert_eq!(watch.note(&subject, dropped(1), SECOND + 1), None);
        assert_eq!(watch.rest(&subject), Some((State::Dropped, dropped(4))));
        assert_eq!(watch.rest(&subject), None);
    }

    #[test]
    fn a_subject_that_is_well_leaves_nothing_behind() {
        let mut watch = Watch::default();
        states(
            &mut watch,
            &[(1, table(95, 0)), (2 * SECOND, table(1, 0)), (3 * SECOND, table(1, 0))],
        );
        assert!(watch.subjects.is_empty());
    }
}
