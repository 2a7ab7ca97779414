//! Whether a process or thread is alive, and what `/proc` tells about one that is.
//!
//! A zombie counts as exited: it has no memory and makes no calls, but keeps its entry until its parent waits for it.

use std::{collections::BTreeSet, fs, io, path::Path};

use procfs::process::{ProcState, Process, Stat};

/// Returns whether a process exists and has not exited.
pub fn exists(pid: u32) -> bool {
    !has_ended(Path::new(&format!("/proc/{pid}/stat")))
}

/// Returns whether a thread has exited.
pub fn thread_has_ended(pid: u32, tid: u32) -> bool {
    has_ended(Path::new(&format!("/proc/{pid}/task/{tid}/stat")))
}

/// An error other than "not found", such as too many open files, is no proof of an exit.
fn has_ended(stat: &Path) -> bool {
    match fs::read(stat) {
        // The state follows the name in parentheses, which may itself contain any byte.
        Ok(text) => {
            let state = text.rsplit(|byte| *byte == b')').next().and_then(|rest| rest.get(1));
            matches!(state, Some(b'Z' | b'X' | b'x'))
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH),
    }
}

/// Returns the process that a live process or thread belongs to; for a process, its own id.
pub(super) fn owner_of(pid: u32) -> Option<i32> {
    stat_of(pid)?;
    let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok())?;
    process.status().ok().map(|status| status.tgid)
}

/// Returns the threads of a process except the main thread. Some may be missing if threads exit during the call
/// (`proc_task_readdir` in `fs/proc/base.c`, v6.18).
pub fn threads_of(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let tids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    tids.filter(|tid| *tid != pid).collect()
}

/// Returns whether a process has memory. One that is exiting releases it before it disappears.
pub fn has_memory(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty())
}

/// Returns the start time of a live process, in clock ticks since boot.
pub fn start_of(pid: u32) -> Option<u64> {
    stat_of(pid).map(|stat| stat.starttime)
}

/// Returns the `comm` of a process.
pub fn name_of(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// Returns the parent of a live process.
pub fn parent_of(pid: u32) -> Option<u32> {
    stat_of(pid).map(|stat| stat.ppid.unsigned_abs())
}

/// Returns the parent of a live process if the process runs what it inherited from it: neither has executed a program since
/// the fork, so their memory begins with the same stack.
pub(super) fn forked_by(pid: u32) -> Option<u32> {
    let stat = stat_of(pid)?;
    let parent = stat_of(stat.ppid.unsigned_abs())?;
    let image = |stat: &Stat| (stat.startcode, stat.startstack);
    // It is 0 or 1 if this process may not know it.
    (stat.startstack > 1 && image(&stat) == image(&parent)).then_some(parent.pid.unsigned_abs())
}

fn stat_of(pid: u32) -> Option<Stat> {
    let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok());
    let stat = process.and_then(|process| process.stat().ok())?;
    is_alive(&stat).then_some(stat)
}

fn is_alive(stat: &Stat) -> bool {
    stat.state()
        .is_ok_and(|state| !matches!(state, ProcState::Zombie | ProcState::Dead))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn this_process_exists_and_one_beyond_all_pids_does_not() {
        assert!(exists(std::process::id()) && !exists(u32::MAX));
    }

    #[test]
    fn a_thread_is_listed_and_has_not_ended_until_it_does() {
        let own = std::process::id();
        let tid = std::thread::spawn(move || {
            let tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
            assert!(threads_of(own).contains(&tid) && !thread_has_ended(own, tid));
            tid
        });
        let tid = tid.join().unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while threads_of(own).contains(&tid) || !thread_has_ended(own, tid) {
            assert!(Instant::now() < deadline, "the thread has exited");
            std::thread::yield_now();
        }
        assert!(!thread_has_ended(own, own) && thread_has_ended(own, u32::MAX));
    }

    #[test]
    fn an_unreadable_entry_is_no_proof_of_an_exit() {
        assert!(has_ended(Path::new("/proc/self/nothing of this name")));
        assert!(
            !has_ended(Path::new("/proc/self")),
            "a directory is not readable as a file"
        );
        let folder = tempfile::tempdir().unwrap();
        let stat = folder.path().join("stat");
        for (text, ended) in [
            ("1 (a) Z) S 1", false),
            ("1 (a) S) Z 1", true),
            ("1 (x) X 0", true),
            ("", false),
        ] {
            fs::write(&stat, text).unwrap();
            assert_eq!(has_ended(&stat), ended, "{text}");
        }
    }

    #[test]
    fn a_process_has_memory_and_one_that_does_not_exist_has_none() {
        assert!(has_memory(std::process::id()));
        assert!(!has_memory(u32::MAX));
    }

    #[test]
    fn a_live_process_has_a_start_time_and_a_parent() {
        let own = std::process::id();
        assert!(start_of(own).is_some_and(|start| start > 0));
        assert_eq!(parent_of(own), Some(std::os::unix::process::parent_id()));
        assert_eq!((start_of(u32::MAX), parent_of(u32::MAX)), (None, None));
    }

    #[test]
    fn a_zombie_does_not_exist() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(exists(child.id()));
        drop(child.stdin.take());
        // Its stdout is closed when it exits, or shortly before.
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while exists(child.id()) {
            assert!(Instant::now() < deadline, "it is a zombie");
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
