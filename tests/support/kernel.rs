//! Signals, children and BPF objects of processes.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path, process::Command, sync::mpsc, thread};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{run, wait};

/// The BPF objects that a process has open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BpfObjects {
    /// Ids of programs.
    pub programs: BTreeSet<u64>,
    /// Ids of links.
    pub links: BTreeSet<u64>,
    /// Ids of maps.
    pub maps: BTreeSet<u64>,
    /// The memory of these maps in bytes, rings included.
    pub bytes: u64,
}

impl BpfObjects {
    /// Reads them from the file descriptors of a process.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut bpf_objects = Self {
            programs: BTreeSet::new(),
            links: BTreeSet::new(),
            maps: BTreeSet::new(),
            bytes: 0,
        };
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
            // The descriptor may have been closed.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            bpf_objects.links.extend(number_after(&text, "link_id:"));
            bpf_objects.programs.extend(number_after(&text, "prog_id:"));
            if let Some(map) = number_after(&text, "map_id:")
                && bpf_objects.maps.insert(map)
            {
                bpf_objects.bytes += number_after(&text, "memlock:").unwrap_or(0);
            }
        }
        Ok(bpf_objects)
    }

    /// Counts the entries of all maps with a name.
    pub fn entries(&self, name: &str) -> Result<usize> {
        let mut entries = 0;
        for map in &self.maps {
            let shown = bpftool(&["map", "show", "id", &map.to_string()])?;
            if shown.get("name").and_then(Value::as_str) == Some(name) {
                let dumped = bpftool(&["map", "dump", "id", &map.to_string()])?;
                entries += dumped.as_array().context("bpftool printed no list")?.len();
            }
        }
        Ok(entries)
    }

    /// Waits until the kernel has freed all of them.
    pub fn wait_until_gone(&self) -> Result<()> {
        let gone = |kind: &str, ours: &BTreeSet<u64>| -> Result<bool> { Ok(listed_ids(kind)?.is_disjoint(ours)) };
        wait::until_true("the end of all programs, links and maps of tlscope", || {
            Ok(gone("link", &self.links)? && gone("prog", &self.programs)? && gone("map", &self.maps)?)
        })
    }
}

/// Returns the kind of each link that a process has open, such as `raw_tracepoint`; since Linux 6.16 `uprobe_multi` and
/// `uretprobe_multi` differ.
pub(crate) fn link_kinds(pid: u32) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // The descriptor may have been closed.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let kind = text.lines().find_map(|line| line.strip_prefix("link_type:"));
        kinds.extend(kind.map(|kind| kind.trim().to_owned()));
    }
    Ok(kinds)
}

fn number_after(text: &str, label: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(label))?
        .trim()
        .parse()
        .ok()
}

/// Returns the ids that `bpftool` lists for a kind of object, such as `prog` or `link`.
pub fn listed_ids(kind: &str) -> Result<BTreeSet<u64>> {
    let list = bpftool(&[kind, "list"])?;
    let ids = list
        .as_array()
        .context("bpftool printed no list")?
        .iter()
        .filter_map(|one| one["id"].as_u64());
    Ok(ids.collect())
}

fn bpftool(args: &[&str]) -> Result<Value> {
    let output = run::succeed(Command::new("bpftool").arg("-j").args(args))?;
    serde_json::from_str(&output.stdout).context("bpftool printed no JSON")
}

/// Restricts a process to one CPU.
pub fn move_to_cpu(pid: u32, cpu: usize) -> Result<()> {
    // SAFETY: `cpu_set_t` is a plain bit mask; zeros are the empty set.
    let mut cpus: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `CPU_SET` checks the number against the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut cpus) };
    // SAFETY: the set outlives the call, and the size is that of the set.
    let moved = unsafe { libc::sched_setaffinity(i32::try_from(pid)?, size_of_val(&cpus), &raw const cpus) };
    ensure!(
        moved == 0,
        "process {pid} cannot run on CPU {cpu}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// Has this thread run before usual ones as soon as it has something to do. Does nothing if this process is not privileged to.
pub fn hurry() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the value, which outlives it.
    let _result = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const priority) };
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: i32) -> Result<()> {
    let pid = i32::try_from(pid)?;
    // SAFETY: `kill` accesses no memory of this process.
    let sent = unsafe { libc::kill(pid, signal) };
    ensure!(
        sent == 0,
        "no signal {signal} to {pid}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// Kills the process group of a session leader, such as a daemon.
pub(crate) fn kill_session(leader: u32) {
    // 0 and 1 would mean our own group, or all processes.
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        // SAFETY: `kill` accesses no memory of this process. It fails if no process is left.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Returns whether a process runs. A zombie has no `exe`.
pub fn is_running(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// Returns the PID in a file, if the file exists and has one.
pub(crate) fn pid_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Returns the current children of a process.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    text.split_whitespace().map(|child| Ok(child.parse()?)).collect()
}

/// Runs `test` with the ID of a thread of this process other than the main thread.
pub fn with_a_thread<T>(test: impl FnOnce(u32) -> Result<T>) -> Result<T> {
    let (send, received) = mpsc::channel();
    let (end, until_end) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // The link is PID/task/TID. If sending fails, the receiver fails the test.
        drop(send.send(fs::read_link("/proc/thread-self")));
        let _ended = until_end.recv();
    });
    let path = received.recv()??;
    let tid = path
        .file_name()
        .and_then(OsStr::to_str)
        .context("the thread has no ID")?;
    let result = test(tid.parse()?);
    drop(end);
    drop(thread.join());
    result
}

/// Returns the PID of a kernel thread.
pub fn kernel_thread() -> Result<u32> {
    // kthreadd, the parent of all kernel threads, has PID 2.
    children(2)?.first().copied().context("there are no kernel threads")
}
