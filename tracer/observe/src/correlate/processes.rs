//! The traced processes as of now: their names, and how many connections each has had.
//!
//! In: names, changes and ends of processes. Out: a [`Process`] and an id for each connection. Refuses to use an id
//! twice, though processes are forgotten when they end and their ids are used again.

use std::collections::HashMap;

use super::Process;

/// The processes that are known.
#[derive(Debug)]
pub(super) struct Processes {
    bound: usize,
    known: HashMap<u32, Known>,
    /// The highest process id that ever was known: one above it was never forgotten.
    highest: u32,
    /// The highest number of a connection in a process that was forgotten.
    floor: u64,
}

#[derive(Debug)]
struct Known {
    name: String,
    /// The number of its last connection.
    last: u64,
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

    /// Names a process, which may be new.
    pub(super) fn name(&mut self, pid: u32, name: String) {
        self.find_or_add(pid).name = name;
    }

    /// The name of a process; empty where it is not known.
    pub(super) fn name_of(&self, pid: u32) -> &str {
        self.known.get(&pid).map_or("", |known| &known.name)
    }

    /// Tells whether a process is known.
    pub(super) fn knows(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// Counts a connection: its id, and its process.
    pub(super) fn connect(&mut self, pid: u32) -> (String, Process) {
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

    /// Tells whether one more would be too many.
    pub(super) fn is_full(&self) -> bool {
        self.known.len() >= self.bound
    }

    /// Forgets all processes but those that `keep` names; tells how many.
    pub(super) fn forget_but(&mut self, keep: impl Fn(u32) -> bool) -> u64 {
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
        })
    }

    /// How many are known.
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
    fn a_process_id_used_again_gives_no_id_again() {
        let mut processes = Processes::new(4);
        let mut ids = HashSet::new();
        for round in 0..1000_u32 {
            // Two ids in turns, and one that rises.
            for pid in [7, 5, 8 + round] {
                processes.name(pid, format!("life {round}"));
                for _ in 0..=round % 3 {
                    let (id, process) = processes.connect(pid);
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
                let (id, _) = processes.connect(pid);
                processes.forget(9);
                id
            })
            .collect();
        assert_eq!(ids, ["7-1", "7-2", "9-1", "8-2"]);
    }

    #[test]
    fn at_the_bound_all_but_the_ones_in_use_are_forgotten() {
        let mut processes = Processes::new(3);
        for pid in [1, 2, 3] {
            assert!(!processes.is_full());
            processes.name(pid, pid.to_string());
        }
        assert!(processes.is_full());
        assert_eq!(processes.forget_but(|pid| pid == 2), 2);
        assert_eq!((processes.name_of(1), processes.name_of(2)), ("", "2"));
    }
}
