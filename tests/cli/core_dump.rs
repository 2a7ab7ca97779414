//! A crash leaves no core dump, which would contain plaintext.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
};

use anyhow::Result;
use support::{binary, kernel, run, wait};

/// Returns the limit of the core size of a process, as a line of `/proc/PID/limits`.
fn core_limit(process: &Child) -> Result<String> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id()))?;
    let line = limits.lines().find(|line| line.starts_with("Max core file size"));
    Ok(line
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" "))
}

#[test]
fn a_crash_leaves_no_core_even_if_the_limit_was_unlimited() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // It blocks on opening a tape that has no writer.
    let tape = directory.path().join("tape");
    run::succeed(Command::new("mkfifo").arg(&tape))?;
    let mut command = Command::new("prlimit");
    command.arg("--core=unlimited").arg(binary::tlscope()?);
    command.arg("replay").arg(&tape).current_dir(directory.path());
    let mut replay = command.stderr(Stdio::null()).spawn()?;
    wait::until_true("a core limit of 0", || {
        Ok(core_limit(&replay)? == "Max core file size 0 0 bytes")
    })?;
    // Raises the limit again, if privileged. The process is still not dumpable.
    let mut raise = Command::new("prlimit");
    raise.args(["--core=unlimited", "--pid", &replay.id().to_string()]);
    let _raised = raise.stderr(Stdio::null()).status()?;
    kernel::signal(replay.id(), libc::SIGABRT)?;
    let status = replay.wait()?;
    assert_eq!((status.signal(), status.core_dumped()), (Some(libc::SIGABRT), false));
    let left: Vec<_> = fs::read_dir(directory.path())?.collect::<Result<_, _>>()?;
    assert_eq!(left.len(), 1, "{left:?}");
    Ok(())
}
