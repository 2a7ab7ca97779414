//! Which processes are traced, and who uses which file.
//!
//! In: processes that come, map files, and go. Out: files that nobody uses any more, the longest unused first, beyond a
//! number that is kept for programs that are started again.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use crate::{attach::Needs, limits::MAX_UNUSED_FILES, target::FileIdentity};

/// What is known of a process; its children share it.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    /// The probed files it maps, or is expected to map.
    pub(super) files: Vec<FileIdentity>,
    /// What it needs of them.
    pub(super) needs: Needs,
    /// Whether it maps none of them yet.
    pub(super) expected: bool,
    /// The TLS libraries that are probed, in words.
    pub(super) traced: Vec<String>,
    /// Those that are not, in words: its children need not be named for them again.
    pub(super) untraced: Vec<String>,
}

/// The traced processes and their files.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    processes: HashMap<u32, Arc<Mapped>>,
    /// How many processes use a file.
    users: HashMap<FileIdentity, usize>,
    unused: VecDeque<FileIdentity>,
    /// Files that a program which is waited for would map.
    kept: BTreeSet<FileIdentity>,
}

impl Accounts {
    /// Adds a process, of which nothing is known if it is new.
    pub(super) fn add(&mut self, pid: u32) {
        self.processes.entry(pid).or_default();
    }

    /// Tells whether a process is traced.
    pub(super) fn has(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Tells whether no process is traced.
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// The traced processes.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.processes.keys().copied()
    }

    /// What is known of a process.
    pub(super) fn of(&self, pid: u32) -> Arc<Mapped> {
        self.processes.get(&pid).cloned().unwrap_or_default()
    }

    /// Takes note of what a process maps now.
    pub(super) fn set(&mut self, pid: u32, mapped: Arc<Mapped>) {
        for file in &mapped.files {
            *self.users.entry(*file).or_default() += 1;
            self.unused.retain(|unused| unused != file);
        }
        if let Some(before) = self.processes.insert(pid, mapped) {
            self.release(&before);
        }
    }

    /// Forgets a process.
    pub(super) fn remove(&mut self, pid: u32) {
        if let Some(mapped) = self.processes.remove(&pid) {
            self.release(&mapped);
        }
    }

    /// Keeps the probes of a file whether anyone uses it or not.
    pub(super) fn keep(&mut self, file: FileIdentity) {
        if self.kept.insert(file) {
            *self.users.entry(file).or_default() += 1;
            self.unused.retain(|unused| *unused != file);
        }
    }

    /// Takes note of files that are probed for processes which are not known yet.
    pub(super) fn set_idle(&mut self, files: &[FileIdentity]) {
        for file in files {
            if !self.users.contains_key(file) && !self.unused.contains(file) {
                self.unused.push_back(*file);
            }
        }
    }

    /// Takes the file that was unused longest, if there are more than are kept.
    pub(super) fn take_unused(&mut self) -> Option<FileIdentity> {
        if self.unused.len() > MAX_UNUSED_FILES {
            self.unused.pop_front()
        } else {
            None
        }
    }

    fn release(&mut self, mapped: &Mapped) {
        for file in &mapped.files {
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

    fn mapping(inodes: impl IntoIterator<Item = u64>) -> Arc<Mapped> {
        Arc::new(Mapped {
            files: inodes.into_iter().map(file).collect(),
            ..Mapped::default()
        })
    }

    #[test]
    fn a_file_is_unused_when_its_last_user_is_gone_and_used_again_with_the_next() {
        let mut accounts = Accounts::default();
        accounts.set(1, mapping([7]));
        accounts.set(2, accounts.of(1));
        accounts.remove(1);
        assert!(accounts.unused.is_empty());
        accounts.set(2, Arc::default());
        assert_eq!(accounts.unused, [file(7)]);
        accounts.set(3, mapping([7]));
        assert!(accounts.unused.is_empty() && accounts.has(3) && !accounts.has(1));
    }

    #[test]
    fn unused_files_are_kept_up_to_a_number_and_the_longest_unused_goes_first() {
        let mut accounts = Accounts::default();
        let kept = MAX_UNUSED_FILES as u64;
        accounts.set(1, mapping(0..kept));
        accounts.remove(1);
        assert_eq!(accounts.take_unused(), None);
        accounts.set_idle(&[file(kept), file(kept)]);
        assert_eq!(accounts.take_unused(), Some(file(0)));
        assert_eq!(accounts.take_unused(), None);
    }

    #[test]
    fn a_file_that_is_kept_is_never_unused() {
        let mut accounts = Accounts::default();
        accounts.set_idle(&[file(7)]);
        accounts.keep(file(7));
        accounts.keep(file(7));
        accounts.set(1, mapping([7]));
        accounts.remove(1);
        assert!(accounts.unused.is_empty());
    }

    #[test]
    fn nothing_is_left_of_processes_that_came_and_went() {
        let mut accounts = Accounts::default();
        accounts.set(1, mapping([7, 8]));
        for pid in 2..10_000 {
            accounts.set(pid, accounts.of(1));
            accounts.remove(pid);
        }
        assert_eq!((accounts.processes.len(), accounts.users.len()), (1, 2));
        assert_eq!(accounts.users.get(&file(7)), Some(&1));
    }
}
