//! Messages about processes, deduplicated and bounded.
//!
//! During the initial scan, findings are collected so that all workers of a gateway share one line. Afterwards the first
//! process with a finding is named at once, the others are counted, and [`ProcessLog::report_repeats`] prints the counts
//! at the end. A host that forks all the time can therefore neither flood stderr nor grow these tables.

use std::{
    collections::{BTreeMap, HashMap},
    mem::take,
    sync::Arc,
};

use super::processes::ProcessInfo;
use crate::{
    limits::{MAX_FORK_MESSAGES, MAX_PENDING_FORKS, MAX_PROCESS_MESSAGES},
    message::Messages,
};

/// Process ids that one line names.
const NAMED_PIDS: usize = 8;

/// Process ids by the name of the process and a text.
type Findings = BTreeMap<(String, String), Vec<u32>>;

/// What was reported, and what is pending.
#[derive(Debug)]
pub(super) struct ProcessLog {
    messages: Messages,
    /// Findings of the initial scan.
    initial: Findings,
    initial_scan_is_over: bool,
    /// Findings that were reported, and how many more processes had the same one.
    reported: HashMap<(String, String), u64>,
    /// Findings that were dropped because `reported` was full.
    dropped: u64,
    /// Processes that are traced like their parent, or like others before, and are not reported yet.
    pending_forks: BTreeMap<u32, Arc<ProcessInfo>>,
    fork_messages: usize,
}

impl ProcessLog {
    pub(super) fn new(messages: Messages) -> Self {
        Self {
            messages,
            initial: Findings::new(),
            initial_scan_is_over: false,
            reported: HashMap::new(),
            dropped: 0,
            pending_forks: BTreeMap::new(),
            fork_messages: 0,
        }
    }

    /// Reports a finding as `NAME (PID)TEXT`, unless the same finding was reported for a process of the same name.
    pub(super) fn report(&mut self, name: &str, pid: u32, text: &str) {
        let key = (name.to_owned(), text.to_owned());
        if !self.initial_scan_is_over {
            self.initial.entry(key).or_default().push(pid);
        } else if let Some(repeats) = self.reported.get_mut(&key) {
            *repeats += 1;
        } else if self.reported.len() >= MAX_PROCESS_MESSAGES {
            self.dropped += 1;
        } else {
            self.messages.say(&line(&key, &[pid]));
            self.reported.insert(key, 0);
        }
    }

    /// Ends the initial scan and prints its findings.
    pub(super) fn report_initial(&mut self) {
        self.initial_scan_is_over = true;
        for (key, pids) in take(&mut self.initial) {
            self.messages.say(&line(&key, &pids));
            if self.reported.len() < MAX_PROCESS_MESSAGES {
                self.reported.insert(key, 0);
            }
        }
    }

    /// Takes the findings of the initial scan as the text of an error.
    pub(super) fn take_initial(&mut self) -> String {
        let lines: Vec<_> = take(&mut self.initial)
            .iter()
            .map(|(key, pids)| line(key, pids))
            .collect();
        lines.join("; ")
    }

    /// Queues a message that a process is traced like its parent, which forked it, or like others that map the same files.
    pub(super) fn add_attached(&mut self, pid: u32, info: &Arc<ProcessInfo>) {
        let has_room = self.pending_forks.len() < MAX_PENDING_FORKS && self.fork_messages < MAX_FORK_MESSAGES;
        if has_room && !info.traced.is_empty() {
            self.pending_forks.insert(pid, Arc::clone(info));
        }
    }

    /// Drops the queued message of a process that exited or runs another program.
    pub(super) fn remove_attached(&mut self, pid: u32) {
        self.pending_forks.remove(&pid);
    }

    /// Prints the queued messages about processes that are traced.
    pub(super) fn report_attached(&mut self, name_of: impl Fn(u32) -> Option<String>) {
        let mut forks = Findings::new();
        for (pid, info) in take(&mut self.pending_forks) {
            let Some(name) = name_of(pid) else { continue };
            for library in &info.traced {
                forks.entry((name.clone(), library.clone())).or_default().push(pid);
            }
        }
        for ((name, library), pids) in forks {
            if self.fork_messages >= MAX_FORK_MESSAGES {
                return;
            }
            self.fork_messages += 1;
            self.messages
                .say(&format!("attached to {name} ({}): {library}", listed(&pids)));
            if self.fork_messages == MAX_FORK_MESSAGES {
                self.messages
                    .say("processes that are forked or found from now on are traced and no longer named");
            }
        }
    }

    /// Prints how often each finding was repeated, and how many findings were dropped.
    pub(super) fn report_repeats(&self) {
        let mut repeated: Vec<_> = self.reported.iter().filter(|(_, repeats)| **repeats > 0).collect();
        repeated.sort();
        for ((name, text), repeats) in repeated {
            self.messages.say(&format!("{name}, {repeats} processes more{text}"));
        }
        if self.dropped > 0 {
            self.messages
                .say(&format!("messages about processes dropped, too many: {}", self.dropped));
        }
    }
}

fn line((name, text): &(String, String), pids: &[u32]) -> String {
    format!("{name} ({}){text}", listed(pids))
}

/// Formats the first process ids, and the number of the others.
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
    fn the_same_finding_of_many_processes_is_one_line() {
        let mut log = ProcessLog::new(Messages::to(|_| {}));
        for pid in 1..=168 {
            log.report("curl", pid, " is not traced: x");
        }
        log.report("nginx", 200, " is not traced: x");
        assert_eq!(
            log.take_initial(),
            "curl (1, 2, 3, 4, 5, 6, 7, 8 and 160 more) is not traced: x; nginx (200) is not traced: x"
        );
    }

    #[test]
    fn a_finding_after_the_initial_scan_is_reported_once_and_counted() {
        let mut log = ProcessLog::new(Messages::to(|_| {}));
        log.report("curl", 1, " a");
        log.report_initial();
        for pid in 2..=10 {
            log.report("curl", pid, " a");
            log.report("curl", pid, " b");
        }
        let key = |text: &str| ("curl".to_owned(), text.to_owned());
        assert_eq!(log.reported, HashMap::from([(key(" a"), 9), (key(" b"), 8)]));
    }

    #[test]
    fn findings_beyond_the_bound_are_dropped_and_counted() {
        let mut log = ProcessLog::new(Messages::to(|_| {}));
        log.report_initial();
        for number in 0..MAX_PROCESS_MESSAGES + 3 {
            log.report("x", 1, &format!(" {number}"));
        }
        assert_eq!((log.reported.len(), log.dropped), (MAX_PROCESS_MESSAGES, 3));
    }

    #[test]
    fn pending_forks_and_their_messages_are_bounded() {
        let mut log = ProcessLog::new(Messages::to(|_| {}));
        let info = Arc::new(ProcessInfo {
            traced: vec!["y".to_owned()],
            ..ProcessInfo::default()
        });
        for _ in 0..MAX_FORK_MESSAGES + 3 {
            for pid in 0..2_000 {
                log.add_attached(pid, &info);
            }
            assert!(log.pending_forks.len() <= MAX_PENDING_FORKS);
            log.report_attached(|_| Some("x".to_owned()));
            assert!(log.pending_forks.is_empty());
        }
        assert_eq!(log.fork_messages, MAX_FORK_MESSAGES);
    }

    #[test]
    fn a_forked_process_that_exited_or_has_no_library_is_not_reported() {
        let mut log = ProcessLog::new(Messages::to(|_| {}));
        let info = Arc::new(ProcessInfo {
            traced: vec!["y".to_owned()],
            ..ProcessInfo::default()
        });
        log.add_attached(1, &info);
        log.add_attached(2, &Arc::default());
        log.remove_attached(1);
        assert!(log.pending_forks.is_empty());
    }
}
