//! What the kernel knows: signals, children, and what a process holds of BPF.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path, process::Command, sync::mpsc, thread};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{run, wait};

/// What a process holds of BPF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holdings {
    /// Ids of programs.
    pub programs: BTreeSet<u64>,
    /// Ids of links.
    pub links: BTreeSet<u64>,
    /// Ids of maps.
    pub maps: BTreeSet<u64>,
    /// Bytes of memory that these maps take, rings included.
    pub bytes: u64,
}

impl Holdings {
    /// Reads them from the descriptors of a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut holdings = Self {
            programs: BTreeSet::new(),
            links: BTreeSet::new(),
            maps: BTreeSet::new(),
            bytes: 0,
        };
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
            // A descriptor may be closed in between.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            holdings.links.extend(number_after(&text, "link_id:"));
            holdings.programs.extend(number_after(&text, "prog_id:"));
            if let Some(map) = number_after(&text, "map_id:")
                && holdings.maps.insert(map)
            {
                holdings.bytes += number_after(&text, "memlock:").unwrap_or(0);
            }
        }
        Ok(holdings)
    }

    /// How many entries its tables of a name have.
    pub fn entries(&self, name: &str) -> Result<usize> {
        let mut entries = 0;
        for map in &self.maps {
            let shown = bpftool(&["map", "show", "id", &map.to_string()])?;
            if shown.get("name").and_then(Value::as_str) == Some(name) {
                let dumped = bpftool(&["map", "dump", "id", &map.to_string()])?;
                entries += dumped.as_array().context("bpftool gave no list")?.len();
            }
        }
        Ok(entries)
    }

    /// Waits until the kernel has none of them any more.
    pub fn wait_until_gone(&self) -> Result<()> {
        let gone = |kind: &str, ours: &BTreeSet<u64>| -> Result<bool> { Ok(listed(kind)?.is_disjoint(ours)) };
        wait::until_true("every program, link and map of ours is gone", || {
            Ok(gone("link", &self.links)? && gone("prog", &self.programs)? && gone("map", &self.maps)?)
        })
    }
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(label))?
        .trim()
        .parse()
        .ok()
}

/// Ids that `bpftool` lists; a link is named by its `id` as a program is.
pub fn listed(kind: &str) -> Result<BTreeSet<u64>> {
    let list = bpftool(&[kind, "list"])?;
    let ids = list
        .as_array()
        .context("bpftool gave no list")?
        .iter()
        .filter_map(|one| one["id"].as_u64());
    Ok(ids.collect())
}

fn bpftool(words: &[&str]) -> Result<Value> {
    let ran = run::succeed(Command::new("bpftool").arg("-j").args(words))?;
    serde_json::from_str(&ran.stdout).context("bpftool gave no JSON")
}

/// Lets a process run on one CPU alone.
pub fn move_to_cpu(pid: u32, cpu: usize) -> Result<()> {
    // SAFETY: a set of CPUs is plain bits, and all zeros is the empty one.
    let mut cpus: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is checked against the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut cpus) };
    // SAFETY: the set lives until the call returns, and its size is the one that is told.
    let moved = unsafe { libc::sched_setaffinity(i32::try_from(pid)?, size_of_val(&cpus), &raw const cpus) };
    ensure!(
        moved == 0,
        "process {pid} cannot run on CPU {cpu}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: i32) -> Result<()> {
    let pid = i32::try_from(pid)?;
    // SAFETY: kill takes two numbers and touches no memory.
    let sent = unsafe { libc::kill(pid, signal) };
    ensure!(
        sent == 0,
        "no signal {signal} to {pid}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// Kills a session, which a process that went to the background has begun.
pub(crate) fn kill_session(leader: u32) {
    // A session of no one, or of everyone, is none of ours.
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        // SAFETY: kill takes two numbers and touches no memory; nobody may be left to kill.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Tells whether a process exists and has not ended: one that nobody has waited for yet has no program any more.
pub fn is_running(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// The process id that a file holds, once it does.
pub(crate) fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The children that a process has now.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    text.split_whitespace().map(|child| Ok(child.parse()?)).collect()
}

/// Runs `test` with the number of a thread of this process that is not its first.
pub fn with_a_thread<T>(test: impl FnOnce(u32) -> Result<T>) -> Result<T> {
    let (send, received) = mpsc::channel();
    let (end, until_end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // It leads to PID/task/TID. Whoever fails to receive it fails the test.
        drop(send.send(fs::read_link("/proc/thread-self")));
        let _ended = until_end.recv();
    });
    let path = received.recv()??;
    let tid = path.file_name().and_then(OsStr::to_str).context("it has no number")?;
    let result = test(tid.parse()?);
    drop(end);
    drop(thread.join());
    result
}

/// One of the kernel's own threads.
pub fn kernel_thread() -> Result<u32> {
    // Process 2 starts them all.
    children(2)?.first().copied().context("the kernel has no threads")
}
