//! `tlscope` as a running process.
//!
//! In: a command line. Out: a process that is known to be ready, and a [`Trace`] once it has ended. A tracer that is
//! dropped before that is killed, and its stderr shown: the test has failed.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{Trace, binary, kernel, lines::Lines, schema, trace, wait};

/// A running `tlscope`.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    stdout: Option<Lines>,
    stderr: Option<Lines>,
}

impl Tracer {
    /// Starts `tlscope trace` on processes and waits until it is ready.
    pub fn of(pids: &[u32], words: &[&str]) -> Result<Self> {
        let pids: Vec<String> = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]).collect();
        let words = ["trace"]
            .into_iter()
            .chain(pids.iter().map(String::as_str))
            .chain(words.iter().copied());
        Self::ready(&words.collect::<Vec<_>>())
    }

    /// Starts `tlscope` with any words and waits until it is ready.
    pub fn ready(words: &[&str]) -> Result<Self> {
        let tracer = Self::start(words)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope trace` on processes where the kernel seems to have no BTF, and waits until it is ready.
    pub fn without_btf(pids: &[u32]) -> Result<Self> {
        let pids = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        let words: Vec<_> = ["trace".to_owned()].into_iter().chain(pids).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let tracer = Self::spawn(binary::command_without_btf(&words)?)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope trace` on processes with its stdout elsewhere, and waits until it is ready.
    pub fn printing_to(stdout: impl Into<Stdio>, pids: &[u32], words: &[&str]) -> Result<Self> {
        let pids = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        let all: Vec<_> = ["trace".to_owned()].into_iter().chain(pids).collect();
        let mut command = binary::command(&all.iter().map(String::as_str).collect::<Vec<_>>())?;
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("tlscope did not start")?;
        // What was handed over must be open there alone.
        drop(command);
        let stderr = child.stderr.take().map(Lines::read);
        let tracer = Self {
            child,
            stdout: None,
            stderr,
        };
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope trace` on processes where a file says which CPUs are `possible` or `online`, and waits until it is
    /// ready.
    pub fn with_cpus(name: &str, file: &Path, pids: &[u32]) -> Result<Self> {
        let pids = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        let words: Vec<_> = ["trace".to_owned()].into_iter().chain(pids).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let tracer = Self::spawn(binary::command_with_cpus(name, file, &words)?)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope` with any words.
    pub fn start(words: &[&str]) -> Result<Self> {
        Self::spawn(binary::command(words)?)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("tlscope did not start")?;
        let (stdout, stderr) = (
            child.stdout.take().map(Lines::read),
            child.stderr.take().map(Lines::read),
        );
        Ok(Self { child, stdout, stderr })
    }

    /// Waits for the line `tlscope: ready`.
    pub fn wait_until_ready(&self) -> Result<()> {
        let ready = |lines: &[String]| lines.iter().any(|line| line == "tlscope: ready").then_some(());
        let stderr = self.stderr.as_ref().context("stderr is read")?;
        stderr.wait_for("the line `tlscope: ready`", ready)
    }

    /// Waits until stderr has a line with all of these words in it.
    pub fn wait_for_message(&self, words: &[&str]) -> Result<()> {
        let stderr = self.stderr.as_ref().context("stderr is read")?;
        let said = |line: &String| words.iter().all(|word| line.contains(word));
        stderr.wait_for(&format!("a message with {words:?}"), |lines| {
            lines.iter().any(said).then_some(())
        })
    }

    /// Waits until so many lines were printed.
    pub fn wait_for_lines(&self, count: usize) -> Result<()> {
        let stdout = self.stdout.as_ref().context("stdout is read")?;
        let what = format!("{count} lines of output");
        let enough = stdout.wait_for(&what, |lines| (lines.len() >= count).then_some(()));
        enough.with_context(|| format!("{} lines were printed", stdout.count()))
    }

    /// Tells whether it has printed a line with this text in it.
    pub fn has_printed(&self, text: &str) -> bool {
        self.stdout
            .as_ref()
            .is_some_and(|stdout| stdout.any(|line| line.contains(text)))
    }

    /// The lines it has printed with this text in them.
    pub fn printed(&self, text: &str) -> Vec<String> {
        let mut lines = self.stdout.as_ref().map_or_else(Vec::new, Lines::so_far);
        lines.retain(|line| line.contains(text));
        lines
    }

    /// Counts the lines it has printed with this text in them.
    pub fn count_lines(&self, text: &str) -> usize {
        let stdout = self.stdout.as_ref();
        stdout.map_or(0, |stdout| stdout.count_of(|line| line.contains(text)))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it has held so far, in KiB.
    pub fn peak_kib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// The memory it holds now, in KiB.
    pub fn held_kib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    fn status(&self, label: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(label));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.with_context(|| format!("status has no {label}"))?.parse()?)
    }

    /// What it holds in the kernel now: programs and links.
    pub fn holdings(&self) -> Result<kernel::Holdings> {
        kernel::Holdings::of(self.pid())
    }

    /// Waits until it has taken its probes away, though it has not ended.
    pub fn wait_until_detached(&self, held: &kernel::Holdings) -> Result<()> {
        wait::until_true("the probes are taken away", || {
            Ok(kernel::listed("link")?.is_disjoint(&held.links))
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        kernel::signal(self.pid(), signal)
    }

    /// Asks it to stop, as ^C does, and waits for its end.
    pub fn stop(self) -> Result<Trace> {
        self.signal(libc::SIGINT)?;
        self.finish()
    }

    /// Waits for its end, and checks each line of JSON against the schema.
    pub fn finish(mut self) -> Result<Trace> {
        let status = wait::until("the end of tlscope", || Ok(self.child.try_wait()?))?;
        let stdout = self.stdout.take().map(Lines::finish).unwrap_or_default();
        let stderr = self.stderr.take().map(Lines::finish).unwrap_or_default();
        let trace = Trace {
            code: status.code(),
            stdout,
            stderr,
        };
        // A signal may have cut the last line.
        if trace.code.is_some() {
            schema::check_lines(&trace.stdout)?;
        }
        Ok(trace)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(stderr) = self.stderr.take() {
            trace::show("tlscope was given up", &stderr.finish());
        }
    }
}
