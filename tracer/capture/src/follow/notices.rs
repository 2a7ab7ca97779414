//! What the user is told of processes: each thing once, for all processes of which it is true.
//!
//! In: what is found of one process after the other. Out: lines on stderr. While the tracing begins they are gathered, so
//! that the workers of a gateway are one line; later the first process is named, and how many more there were is said at
//! the end. Both what is said and what waits to be said is bounded.

use std::{
    collections::{BTreeMap, HashMap},
    mem::take,
    sync::Arc,
};

use super::accounts::Mapped;
use crate::{
    limits::{MAX_ARRIVAL_LINES, MAX_ARRIVALS, MAX_REFUSALS},
    message::Messages,
};

/// Process ids that one line names.
const NAMED_PIDS: usize = 8;

/// What was found, by the name of the process and the words.
type Found = BTreeMap<(String, String), Vec<u32>>;

/// What was said, and what is to be.
#[derive(Debug)]
pub(super) struct Notices {
    messages: Messages,
    /// What is said as soon as all processes that are there were examined.
    gathered: Found,
    /// Whether that is over.
    begun: bool,
    /// How many processes more there were of what was said.
    said: HashMap<(String, String), u64>,
    /// How many times nothing was said, because too much had been.
    unsaid: u64,
    /// Processes that were forked since the last time that was said, are still there and run their parent's program.
    arrived: BTreeMap<u32, Arc<Mapped>>,
    arrival_lines: usize,
}

impl Notices {
    /// Begins to gather.
    pub(super) fn new(messages: Messages) -> Self {
        Self {
            messages,
            gathered: Found::new(),
            begun: false,
            said: HashMap::new(),
            unsaid: 0,
            arrived: BTreeMap::new(),
            arrival_lines: 0,
        }
    }

    /// Notes something of a process: its name and id come first, and the words follow.
    pub(super) fn note(&mut self, name: &str, pid: u32, words: &str) {
        let key = (name.to_owned(), words.to_owned());
        if !self.begun {
            self.gathered.entry(key).or_default().push(pid);
        } else if let Some(more) = self.said.get_mut(&key) {
            *more += 1;
        } else if self.said.len() >= MAX_REFUSALS {
            self.unsaid += 1;
        } else {
            self.messages.say(&line(&key, &[pid]));
            self.said.insert(key, 0);
        }
    }

    /// Says what was gathered, one line for all processes of a name of which the same is true.
    pub(super) fn say_gathered(&mut self) {
        self.begun = true;
        for (key, pids) in take(&mut self.gathered) {
            self.messages.say(&line(&key, &pids));
            if self.said.len() < MAX_REFUSALS {
                self.said.insert(key, 0);
            }
        }
    }

    /// What was gathered in one line, for an error.
    pub(super) fn take_gathered(&mut self) -> String {
        let lines: Vec<_> = take(&mut self.gathered)
            .iter()
            .map(|(key, pids)| line(key, pids))
            .collect();
        lines.join("; ")
    }

    /// Notes that a process was forked and is traced from its beginning, as its parent is.
    pub(super) fn arrived(&mut self, pid: u32, mapped: &Arc<Mapped>) {
        let has_room = self.arrived.len() < MAX_ARRIVALS && self.arrival_lines < MAX_ARRIVAL_LINES;
        if has_room && !mapped.traced.is_empty() {
            self.arrived.insert(pid, Arc::clone(mapped));
        }
    }

    /// Forgets that a process was forked: it has ended, or runs another program.
    pub(super) fn left(&mut self, pid: u32) {
        self.arrived.remove(&pid);
    }

    /// Says which processes were forked.
    pub(super) fn say_arrived(&mut self, name_of: impl Fn(u32) -> Option<String>) {
        let mut found = Found::new();
        for (pid, mapped) in take(&mut self.arrived) {
            let Some(name) = name_of(pid) else { continue };
            for library in &mapped.traced {
                found.entry((name.clone(), library.clone())).or_default().push(pid);
            }
        }
        for ((name, library), pids) in found {
            if self.arrival_lines >= MAX_ARRIVAL_LINES {
                return;
            }
            self.arrival_lines += 1;
            self.messages
                .say(&format!("attached to {name} ({}): {library}", listed(&pids)));
            if self.arrival_lines == MAX_ARRIVAL_LINES {
                self.messages
                    .say("processes that are forked from now on are traced and no longer named");
            }
        }
    }

    /// Says how many more processes there were of what was said once.
    pub(super) fn say_repeated(&self) {
        let mut repeated: Vec<_> = self.said.iter().filter(|(_, more)| **more > 0).collect();
        repeated.sort();
        for ((name, words), more) in repeated {
            self.messages.say(&format!("{name}, {more} processes more{words}"));
        }
        if self.unsaid > 0 {
            self.messages
                .say(&format!("reasons not said, too many: {}", self.unsaid));
        }
    }
}

fn line((name, words): &(String, String), pids: &[u32]) -> String {
    format!("{name} ({}){words}", listed(pids))
}

/// Names a few process ids, and how many there are.
fn listed(pids: &[u32]) -> String {
    let named: Vec<_> = pids.iter().take(NAMED_PIDS).map(u32::to_string).collect();
    let more = pids.len().saturating_sub(NAMED_PIDS);
    if more > 0 {
        format!("{} and {more} more", named.join(", "))
    } else {
        named.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_true_of_many_processes_of_a_name_is_one_line() {
        let mut notices = Notices::new(Messages::to(|_| {}));
        for pid in 1..=168 {
            notices.note("curl", pid, " is not traced: x");
        }
        notices.note("nginx", 200, " is not traced: x");
        assert_eq!(
            notices.take_gathered(),
            "curl (1, 2, 3, 4, 5, 6, 7, 8 and 160 more) is not traced: x; nginx (200) is not traced: x"
        );
    }

    #[test]
    fn what_is_found_later_is_said_once_and_counted() {
        let mut notices = Notices::new(Messages::to(|_| {}));
        notices.note("curl", 1, " a");
        notices.say_gathered();
        for pid in 2..=10 {
            notices.note("curl", pid, " a");
            notices.note("curl", pid, " b");
        }
        let key = |words: &str| ("curl".to_owned(), words.to_owned());
        assert_eq!(notices.said, HashMap::from([(key(" a"), 9), (key(" b"), 8)]));
    }

    #[test]
    fn as_much_is_said_as_the_bound_and_the_rest_is_counted() {
        let mut notices = Notices::new(Messages::to(|_| {}));
        notices.say_gathered();
        for number in 0..MAX_REFUSALS + 3 {
            notices.note("x", 1, &format!(" {number}"));
        }
        assert_eq!((notices.said.len(), notices.unsaid), (MAX_REFUSALS, 3));
    }

    #[test]
    fn processes_that_come_and_go_are_no_more_than_the_bound() {
        let mut notices = Notices::new(Messages::to(|_| {}));
        let mapped = Arc::new(Mapped {
            traced: vec!["y".to_owned()],
            ..Mapped::default()
        });
        for _ in 0..MAX_ARRIVAL_LINES + 3 {
            for pid in 0..2_000 {
                notices.arrived(pid, &mapped);
            }
            assert!(notices.arrived.len() <= MAX_ARRIVALS);
            notices.say_arrived(|_| Some("x".to_owned()));
            assert!(notices.arrived.is_empty());
        }
        assert_eq!(notices.arrival_lines, MAX_ARRIVAL_LINES);
    }

    #[test]
    fn a_process_that_ended_or_runs_another_program_is_not_announced_as_its_parent() {
        let mut notices = Notices::new(Messages::to(|_| {}));
        let mapped = Arc::new(Mapped {
            traced: vec!["y".to_owned()],
            ..Mapped::default()
        });
        notices.arrived(1, &mapped);
        notices.arrived(2, &Arc::default());
        notices.left(1);
        assert!(notices.arrived.is_empty());
    }
}
