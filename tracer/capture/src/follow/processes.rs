//! The traced processes, and how many of them use each probed file.
//!
//! The probes of a file are removed when no process uses it any more. A few unused files keep theirs, because a program
//! that is restarted maps the same files again.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    attach::{Calls, Needs},
    limits::MAX_UNUSED_FILES,
    target::FileIdentity,
};

/// The result of the last scan of a process. A forked child shares its parent's.
#[derive(Clone, Debug, Default)]
pub(super) struct ProcessInfo {
    /// The probed files that it maps, or is expected to map.
    pub(super) files: Vec<FileIdentity>,
    /// The optional probes that it needs in those files.
    pub(super) needs: Needs,
    /// The calls whose tap or lift its connections refuse, or may refuse.
    pub(super) refused: Calls,
    /// Whether it mapped no TLS library yet that can be traced. The scan that finds one reports it even if the file is probed already.
    pub(super) lacks_library: bool,
    /// A description of each TLS library that is probed.
    pub(super) traced: Vec<String>,
    /// A message for each TLS library that is not probed; its children do not repeat these messages.
    pub(super) untraced: Vec<String>,
}

impl ProcessInfo {
    /// Returns whether these libraries of the process were reported before.
    pub(super) fn is_told(&self, traced: &[String]) -> bool {
        traced.iter().all(|library| self.traced.contains(library))
    }
}

/// The traced processes and their files.
#[derive(Debug, Default)]
pub(super) struct Processes {
    infos: HashMap<u32, Arc<ProcessInfo>>,
    /// How many there have been.
    total: u64,
    /// The number of processes that use a file; a pin counts as one.
    users: HashMap<FileIdentity, usize>,
    /// Files without a user, the longest unused first.
    unused: VecDeque<FileIdentity>,
    pinned: BTreeSet<FileIdentity>,
}

impl Processes {
    /// Adds a process, with an empty [`ProcessInfo`] if it is new.
    pub(super) fn add(&mut self, pid: u32) {
        self.infos.entry(pid).or_insert_with(|| {
            self.total += 1;
            Arc::default()
        });
    }

    /// Returns how many processes have been added.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn contains(&self, pid: u32) -> bool {
        self.infos.contains_key(&pid)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.infos.is_empty()
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.infos.keys().copied()
    }

    /// Returns what is known about a process; an empty value for one that is not traced.
    pub(super) fn get(&self, pid: u32) -> Arc<ProcessInfo> {
        self.infos.get(&pid).cloned().unwrap_or_default()
    }

    /// Returns the processes that use a file.
    pub(super) fn using(&self, file: FileIdentity) -> impl Iterator<Item = (u32, Arc<ProcessInfo>)> {
        let users = self.infos.iter().filter(move |(_, info)| info.files.contains(&file));
        users.map(|(pid, info)| (*pid, Arc::clone(info)))
    }

    /// Adds a process or replaces what is known about it.
    pub(super) fn set(&mut self, pid: u32, info: Arc<ProcessInfo>) {
        for file in &info.files {
            *self.users.entry(*file).or_default() += 1;
            self.unused.retain(|unused| unused != file);
        }
        match self.infos.insert(pid, info) {
            Some(before) => self.release(&before),
            None => self.total += 1,
        }
    }

    pub(super) fn remove(&mut self, pid: u32) {
        if let Some(info) = self.infos.remove(&pid) {
            self.release(&info);
        }
    }

    /// Keeps the probes of a file for the rest of the trace, with or without users.
    pub(super) fn pin(&mut self, file: FileIdentity) {
        if self.pinned.insert(file) {
            *self.users.entry(file).or_default() += 1;
            self.unused.retain(|unused| *unused != file);
        }
    }

    /// Registers files that are probed although no traced process uses them yet.
    pub(super) fn add_unused(&mut self, files: &[FileIdentity]) {
        for file in files {
            if !self.users.contains_key(file) && !self.unused.contains(file) {
                self.unused.push_back(*file);
            }
        }
    }

    /// Removes and returns the longest unused file if there are more than [`MAX_UNUSED_FILES`].
    pub(super) fn evict_unused(&mut self) -> Option<FileIdentity> {
        if self.unused.len() > MAX_UNUSED_FILES {
            self.unused.pop_front()
        } else {
            None
        }
    }

    fn release(&mut self, info: &ProcessInfo) {
        for file in &info.files {
            let Some(users) = self.users.get_mut(file) else {
                continue;
            };
            *users -= 1;
            if *users == 0 {
                self.users.remove(file);
                self.unused.push_back(*file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64) -> FileIdentity {
        FileIdentity { device: 1, inode }
    }

    fn info(inodes: impl IntoIterator<Item = u64>) -> Arc<ProcessInfo> {
        Arc::new(ProcessInfo {
            files: inodes.into_iter().map(file).collect(),
            ..ProcessInfo::default()
        })
    }

    #[test]
    fn a_process_is_told_of_once_with_each_library() {
        let traced = |libraries: &[&str]| {
            libraries
                .iter()
                .map(|library| (*library).to_owned())
                .collect::<Vec<_>>()
        };
        let info = ProcessInfo {
            traced: traced(&["a", "b"]),
            ..ProcessInfo::default()
        };
        assert!(info.is_told(&traced(&["b"])) && info.is_told(&[]));
        assert!(!info.is_told(&traced(&["a", "c"])) && !ProcessInfo::default().is_told(&traced(&["a"])));
    }

    #[test]
    fn a_file_without_users_is_unused_until_a_process_maps_it_again() {
        let mut processes = Processes::default();
        processes.set(1, info([7]));
        processes.set(2, processes.get(1));
        processes.remove(1);
        assert!(processes.unused.is_empty());
        processes.set(2, Arc::default());
        assert_eq!(processes.unused, [file(7)]);
        processes.set(3, info([7]));
        assert!(processes.unused.is_empty() && processes.contains(3) && !processes.contains(1));
    }

    #[test]
    fn the_longest_unused_file_is_evicted_beyond_the_bound() {
        let mut processes = Processes::default();
        let kept = MAX_UNUSED_FILES as u64;
        processes.set(1, info(0..kept));
        processes.remove(1);
        assert_eq!(processes.evict_unused(), None);
        processes.add_unused(&[file(kept), file(kept)]);
        assert_eq!(processes.evict_unused(), Some(file(0)));
        assert_eq!(processes.evict_unused(), None);
    }

    #[test]
    fn a_pinned_file_is_never_unused() {
        let mut processes = Processes::default();
        processes.add_unused(&[file(7)]);
        processes.pin(file(7));
        processes.pin(file(7));
        processes.set(1, info([7]));
        processes.remove(1);
        assert!(processes.unused.is_empty());
    }

    #[test]
    fn nothing_is_left_of_removed_processes() {
        let mut processes = Processes::default();
        processes.set(1, info([7, 8]));
        for pid in 2..10_000 {
            processes.set(pid, processes.get(1));
            processes.remove(pid);
        }
        assert_eq!((processes.infos.len(), processes.users.len()), (1, 2));
        assert_eq!(processes.total(), 9_999);
        assert_eq!(processes.users.get(&file(7)), Some(&1));
    }
}
