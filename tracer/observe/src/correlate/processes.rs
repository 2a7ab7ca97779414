//! The names of the traced processes, and the ids of their connections.
//!
//! The id of a connection is a process id and a number. The kernel reuses process ids, and processes are forgotten when they
//! end; an id must be unique all the same, so a process whose id may have been used before counts from [`Processes::floor`].

use std::collections::HashMap;

use super::{Process, refusals::Reported};
use crate::event::Refusal;

/// The known processes.
#[derive(Debug)]
pub(super) struct Processes {
    bound: usize,
    known: HashMap<u32, Known>,
    /// The highest process id so far. No process with a higher id was forgotten.
    highest: u32,
    /// The highest connection number of all forgotten processes.
    floor: u64,
}

#[derive(Debug)]
struct Known {
    name: String,
    /// The number of its latest connection.
    last: u64,
    /// The taps and lifts that were reported not to serve it.
    refusals: Reported,
}

impl Processes {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            bound,
            known: HashMap::new(),
            highest: 0,
            floor: 0,
        }
    }

    /// Sets the name of a process, which may be new or run another program.
    pub(super) fn name(&mut self, pid: u32, name: String) {
        let known = self.find_or_add(pid);
        known.name = name;
        known.refusals = Reported::default();
    }

    /// Adds a tap or a lift that does not serve a process; returns whether that is new of the program that it runs.
    pub(super) fn add_refusal(&mut self, pid: u32, refusal: Refusal) -> bool {
        self.find_or_add(pid).refusals.insert(refusal)
    }

    /// Returns the name of a process; empty if it is not known.
    pub(super) fn name_of(&self, pid: u32) -> &str {
        self.known.get(&pid).map_or("", |known| &known.name)
    }

    /// Returns whether a process is known.
    pub(super) fn knows(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// Counts a connection of a process, and returns its id and the process.
    pub(super) fn add_connection(&mut self, pid: u32) -> (String, Process) {
        let known = self.find_or_add(pid);
        known.last += 1;
        let name = known.name.clone();
        (format!("{pid}-{}", known.last), Process { pid, name })
    }

    /// Forgets a process that has ended.
    pub(super) fn forget(&mut self, pid: u32) {
        if let Some(known) = self.known.remove(&pid) {
            self.floor = self.floor.max(known.last);
        }
    }

    /// Returns whether the bound is reached.
    pub(super) fn is_full(&self) -> bool {
        self.known.len() >= self.bound
    }

    /// Forgets all processes for which `keep` is false, and returns their number.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) -> u64 {
        let gone: Vec<u32> = self.known.keys().copied().filter(|pid| !keep(*pid)).collect();
        for pid in &gone {
            self.forget(*pid);
        }
        gone.len().try_into().unwrap_or(u64::MAX)
    }

    fn find_or_add(&mut self, pid: u32) -> &mut Known {
        let (highest, floor) = (self.highest, self.floor);
        self.highest = highest.max(pid);
        self.known.entry(pid).or_insert_with(|| Known {
            name: String::new(),
            last: if pid > highest { 0 } else { floor },
            refusals: Reported::default(),
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_reused_process_id_does_not_repeat_the_id_of_a_connection() {
        let mut processes = Processes::new(4);
        let mut ids = HashSet::new();
        for round in 0..1000_u32 {
            // Two ids that are reused, and one that rises.
            for pid in [7, 5, 8 + round] {
                processes.name(pid, format!("life {round}"));
                for _ in 0..=round % 3 {
                    let (id, process) = processes.add_connection(pid);
                    assert_eq!((process.pid, process.name), (pid, format!("life {round}")));
                    assert!(ids.insert(id));
                }
                processes.forget(pid);
            }
        }
        assert_eq!(processes.len(), 0);
    }

    #[test]
    fn a_process_with_a_new_id_counts_from_one() {
        let mut processes = Processes::new(4);
        let ids: Vec<_> = [7, 7, 9, 8]
            .into_iter()
            .map(|pid| {
                let (id, _) = processes.add_connection(pid);
                processes.forget(9);
                id
            })
            .collect();
        assert_eq!(ids, ["7-1", "7-2", "9-1", "8-2"]);
    }

    #[test]
    fn retain_forgets_all_other_processes() {
        let mut processes = Processes::new(3);
        for pid in [1, 2, 3] {
            assert!(!processes.is_full());
            processes.name(pid, pid.to_string());
        }
        assert!(processes.is_full());
        assert_eq!(processes.retain(|pid| pid == 2), 2);
        assert_eq!((processes.name_of(1), processes.name_of(2)), ("", "2"));
    }
}
