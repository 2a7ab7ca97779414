//! What happens to traced processes, as the kernel tells it.
//!
//! In: a record of the ring of processes. Out: a [`Life`]. Refuses every other record.

use std::{collections::BTreeSet, fs, io, path::Path};

use procfs::process::{ProcState, Process, Stat};
use tracer_ebpf::{Change, Kind, ProcessRecord, RecordHeader};
use zerocopy::FromBytes as _;

/// Something that happened to a traced process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Life {
    /// A traced process forked it.
    Forked {
        /// The child.
        pid: u32,
        /// Its parent.
        parent: u32,
    },
    /// It runs another program, or its program is one that is traced.
    Executed {
        /// The process.
        pid: u32,
        /// When, on the clock of the records.
        at_ns: u64,
    },
    /// It was met at a probe.
    Met {
        /// The process.
        pid: u32,
    },
    /// It has ended.
    Ended {
        /// The process.
        pid: u32,
        /// When, on the clock of the records.
        at_ns: u64,
    },
    /// A process mapped an executable file.
    Mapped {
        /// The process, traced or not.
        pid: u32,
    },
    /// Processes mapped files, and nobody knows which.
    Overlooked,
}

impl Life {
    /// Reads a record.
    pub fn parse(record: &[u8]) -> Option<Self> {
        let (header, _) = RecordHeader::read_from_prefix(record).ok()?;
        match header.kind {
            Kind::PROCESS => Self::of_process(&ProcessRecord::read_from_prefix(record).ok()?.0),
            _ => None,
        }
    }

    fn of_process(record: &ProcessRecord) -> Option<Self> {
        let (pid, at_ns) = (record.header.tgid, record.header.ts_ns);
        match record.change {
            Change::FORKED => Some(Self::Forked {
                pid,
                parent: record.parent,
            }),
            Change::EXECUTED => Some(Self::Executed { pid, at_ns }),
            Change::MET => Some(Self::Met { pid }),
            Change::ENDED => Some(Self::Ended { pid, at_ns }),
            _ => None,
        }
    }
}

/// Returns whether there is such a process, and it has not ended; its parent may not have taken note of that.
pub fn exists(pid: u32) -> bool {
    !has_ended(Path::new(&format!("/proc/{pid}/stat")))
}

/// Returns whether a thread has ended.
pub fn thread_has_ended(pid: u32, tid: u32) -> bool {
    has_ended(Path::new(&format!("/proc/{pid}/task/{tid}/stat")))
}

/// What cannot be read for another reason, such as too many open files, has not ended.
fn has_ended(stat: &Path) -> bool {
    match fs::read(stat) {
        // The state stands behind the name, which may have any bytes in it.
        Ok(text) => {
            let state = text.rsplit(|byte| *byte == b')').next().and_then(|rest| rest.get(1));
            matches!(state, Some(b'Z' | b'X' | b'x'))
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH),
    }
}

/// The process that a process or thread which has not ended belongs to: a process to itself.
pub(super) fn owner_of(pid: u32) -> Option<i32> {
    stat_of(pid)?;
    let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok())?;
    process.status().ok().map(|status| status.tgid)
}

/// Threads of a process, the first one left out; it may lack some where threads end meanwhile (`proc_task_readdir`,
/// `fs/proc/base.c`, v6.18).
pub fn threads_of(pid: u32) -> BTreeSet<u32> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let tids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    tids.filter(|tid| *tid != pid).collect()
}

/// Returns whether a process has memory: one that is ending gives it back before it is gone.
pub fn has_memory(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/maps")).is_ok_and(|maps| !maps.is_empty())
}

/// When a process began, in clock ticks since the machine did, unless it has ended.
pub fn start_of(pid: u32) -> Option<u64> {
    stat_of(pid).map(|stat| stat.starttime)
}

/// The parent of a process that has not ended.
pub fn parent_of(pid: u32) -> Option<u32> {
    stat_of(pid).map(|stat| stat.ppid.unsigned_abs())
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

    use tracer_ebpf::{Cookie, Direction, RecordFlags};
    use zerocopy::IntoBytes as _;

    use super::*;

    fn process(change: Change) -> Vec<u8> {
        let header = RecordHeader {
            ts_ns: 9,
            cookie: Cookie(0),
            object: 0,
            generation: 0,
            tgid: 7,
            tid: 7,
            kind: Kind::PROCESS,
            direction: Direction::READ,
            flags: RecordFlags(0),
            reserved: 0,
        };
        let record = ProcessRecord {
            header,
            name: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
            parent: 6,
            unused: 3,
            change,
            reserved: [0; 7],
        };
        record.as_bytes().to_vec()
    }

    #[test]
    fn each_change_is_told_apart() {
        let of = |change| Life::parse(&process(change));
        assert_eq!(of(Change::FORKED), Some(Life::Forked { pid: 7, parent: 6 }));
        let executed = Life::Executed { pid: 7, at_ns: 9 };
        assert_eq!(of(Change::EXECUTED), Some(executed));
        assert_eq!(of(Change::MET), Some(Life::Met { pid: 7 }));
        let ended = Life::Ended { pid: 7, at_ns: 9 };
        assert_eq!(of(Change::ENDED), Some(ended));
        assert_eq!(of(Change(99)), None);
    }

    #[test]
    fn a_record_that_is_cut_short_tells_nothing() {
        let record = process(Change::ENDED);
        for cut in 0..record.len() {
            assert_eq!(Life::parse(&record[..cut]), None, "cut at {cut}");
        }
    }

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
            assert!(Instant::now() < deadline, "the thread has ended");
            std::thread::yield_now();
        }
        assert!(!thread_has_ended(own, own) && thread_has_ended(own, u32::MAX));
    }

    #[test]
    fn what_cannot_be_read_has_not_ended() {
        assert!(has_ended(Path::new("/proc/self/nothing of this name")));
        assert!(!has_ended(Path::new("/proc/self")), "a folder cannot be read so");
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
    fn a_process_has_memory_and_one_that_is_gone_has_none() {
        assert!(has_memory(std::process::id()));
        assert!(!has_memory(u32::MAX));
    }

    #[test]
    fn a_process_has_a_beginning_and_a_parent_as_long_as_it_exists() {
        let own = std::process::id();
        assert!(start_of(own).is_some_and(|start| start > 0));
        assert_eq!(parent_of(own), Some(std::os::unix::process::parent_id()));
        assert_eq!((start_of(u32::MAX), parent_of(u32::MAX)), (None, None));
    }

    #[test]
    fn a_process_that_has_ended_does_not_exist_though_its_parent_has_not_waited() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(exists(child.id()));
        drop(child.stdin.take());
        // Its output ends with its end, or a moment before it.
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while exists(child.id()) {
            assert!(Instant::now() < deadline, "it has ended, and is not waited for");
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
