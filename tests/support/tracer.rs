//! Runs `tlscope`.
//!
//! A tracer that is dropped before it has ended means that the test failed: it is killed, and its stderr is printed.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{Trace, binary, kernel, lines::Lines, schema, trace, wait};

/// How a line of health begins.
const HEALTH: &str = r#"{"v":1,"type":"health""#;

/// A running `tlscope`.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    stdout: Option<Lines>,
    stderr: Option<Lines>,
}

impl Tracer {
    /// Starts `tlscope trace` on processes and waits until it is ready.
    pub fn of(pids: &[u32], args: &[&str]) -> Result<Self> {
        let pids: Vec<String> = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]).collect();
        let args = ["trace"]
            .into_iter()
            .chain(pids.iter().map(String::as_str))
            .chain(args.iter().copied());
        Self::ready(&args.collect::<Vec<_>>())
    }

    /// Starts `tlscope` with any arguments and waits until it is ready.
    pub fn ready(args: &[&str]) -> Result<Self> {
        let tracer = Self::start(args)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope trace` on processes with the kernel's BTF hidden, and waits until it is ready.
    pub fn without_btf(pids: &[u32]) -> Result<Self> {
        let pids = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        let args: Vec<_> = ["trace".to_owned()].into_iter().chain(pids).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let tracer = Self::spawn(binary::command_without_btf(&args)?)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope trace` on processes with another stdout, and waits until it is ready.
    pub fn printing_to(stdout: impl Into<Stdio>, pids: &[u32], args: &[&str]) -> Result<Self> {
        let pids = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        let all: Vec<_> = ["trace".to_owned()].into_iter().chain(pids).collect();
        let mut command = binary::command(&all.iter().map(String::as_str).collect::<Vec<_>>())?;
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("tlscope did not start")?;
        // Closes this process's copy of stdout.
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

    /// Starts `tlscope trace` on processes with a file in place of the kernel's list of `possible` or `online` CPUs,
    /// and waits until it is ready.
    pub fn with_cpus(name: &str, file: &Path, pids: &[u32]) -> Result<Self> {
        let pids = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
        let args: Vec<_> = ["trace".to_owned()].into_iter().chain(pids).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let tracer = Self::spawn(binary::command_with_cpus(name, file, &args)?)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope` with these capabilities alone, and waits until it is ready.
    pub fn with_capabilities(capabilities: &[&String], args: &[&str]) -> Result<Self> {
        let tracer = Self::spawn(binary::command_with_capabilities(capabilities, args)?)?;
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    /// Starts `tlscope` with any arguments.
    pub fn start(args: &[&str]) -> Result<Self> {
        Self::spawn(binary::command(args)?)
    }

    /// Starts a command that executes it.
    pub fn spawn(mut command: Command) -> Result<Self> {
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
        let stderr = self.stderr.as_ref().context("stderr is not piped")?;
        stderr.wait_for("the line `tlscope: ready`", ready)
    }

    /// Waits until a line of stderr contains all of these texts.
    pub fn wait_for_message(&self, texts: &[&str]) -> Result<()> {
        let stderr = self.stderr.as_ref().context("stderr is not piped")?;
        let matches = |line: &String| texts.iter().all(|text| line.contains(text));
        stderr.wait_for(&format!("a message with {texts:?}"), |lines| {
            lines.iter().any(matches).then_some(())
        })
    }

    /// Waits for a line of stderr that begins with this text, and returns the rest of it.
    pub fn wait_for_rest(&self, begin: &str) -> Result<String> {
        let stderr = self.stderr.as_ref().context("stderr is not piped")?;
        stderr.wait_for(&format!("a message that begins with `{begin}`"), |lines| {
            lines
                .iter()
                .find_map(|line| line.strip_prefix(begin))
                .map(str::to_owned)
        })
    }

    /// Waits until it has printed this many lines, other than of health.
    pub fn wait_for_lines(&self, count: usize) -> Result<()> {
        let stdout = self.stdout.as_ref().context("stdout is not piped")?;
        let what = format!("{count} lines of output");
        let is_counted = |line: &&String| !line.starts_with(HEALTH);
        let enough = stdout.wait_for(&what, |lines| {
            (lines.len() >= count && lines.iter().filter(is_counted).count() >= count).then_some(())
        });
        enough.with_context(|| format!("{} lines were printed", stdout.count()))
    }

    /// Returns whether it has printed a line that contains this text.
    pub fn has_printed(&self, text: &str) -> bool {
        self.stdout
            .as_ref()
            .is_some_and(|stdout| stdout.any(|line| line.contains(text)))
    }

    /// Returns the printed lines that contain this text.
    pub fn printed(&self, text: &str) -> Vec<String> {
        let mut lines = self.stdout.as_ref().map_or_else(Vec::new, Lines::snapshot);
        lines.retain(|line| line.contains(text));
        lines
    }

    /// Counts the printed lines that contain this text.
    pub fn count_lines(&self, text: &str) -> usize {
        self.count_matching(|line| line.contains(text))
    }

    /// Counts the printed lines that match.
    pub fn count_matching(&self, matches: impl Fn(&String) -> bool) -> usize {
        let stdout = self.stdout.as_ref();
        stdout.map_or(0, |stdout| stdout.count_matching(matches))
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its peak resident memory in KiB.
    pub fn peak_kib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Returns its resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Returns the number of its open file descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    fn status(&self, label: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(label));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.with_context(|| format!("status has no {label}"))?.parse()?)
    }

    /// Returns its BPF objects.
    pub fn bpf_objects(&self) -> Result<kernel::BpfObjects> {
        kernel::BpfObjects::of(self.pid())
    }

    /// Returns the kinds of its links, as the kernel names them.
    pub fn link_kinds(&self) -> Result<Vec<String>> {
        kernel::link_kinds(self.pid())
    }

    /// Waits until it has removed its probes, although it has not ended.
    pub fn wait_until_detached(&self, held: &kernel::BpfObjects) -> Result<()> {
        wait::until_true("the removal of the probes", || {
            Ok(kernel::listed_ids("link")?.is_disjoint(&held.links))
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        kernel::signal(self.pid(), signal)
    }

    /// Interrupts it, as ^C does, and waits for its end.
    pub fn stop(self) -> Result<Trace> {
        self.signal(libc::SIGINT)?;
        self.finish()
    }

    /// Waits for its end, and validates each JSON line against the schema.
    pub fn finish(mut self) -> Result<Trace> {
        let status = wait::until("the end of tlscope", || Ok(self.child.try_wait()?))?;
        let stdout = self.stdout.take().map(Lines::finish).unwrap_or_default();
        let stderr = self.stderr.take().map(Lines::finish).unwrap_or_default();
        let trace = Trace {
            code: status.code(),
            stdout,
            stderr,
        };
        // If a signal killed it, its last line may be incomplete.
        if trace.code.is_some() {
            schema::check_lines(&trace.stdout)?;
        }
        Ok(trace)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(stderr) = self.stderr.take() {
            trace::show("tlscope was killed because the test failed", &stderr.finish());
        }
    }
}
