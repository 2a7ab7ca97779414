//! Runs a program to its end.

use std::{
    env,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The result of a program.
#[derive(Debug)]
pub struct CommandOutput {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl CommandOutput {
    /// Counts the lines of stderr.
    pub fn stderr_lines(&self) -> usize {
        self.stderr.lines().count()
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        Self {
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

/// Removes what cargo tells a test about its package: a cargo that this starts builds crates anew whose build scripts look at that.
pub fn without_package(command: &mut Command) -> &mut Command {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let about_package = |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in names.filter(about_package) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end, with an empty stdin.
pub fn run(command: &mut Command) -> Result<CommandOutput> {
    let output = command.stdin(Stdio::null()).output();
    Ok(output.with_context(|| format!("{command:?} did not start"))?.into())
}

/// Runs a command to its end. Fails unless it exits with 0.
pub fn succeed(command: &mut Command) -> Result<CommandOutput> {
    checked(command, run)
}

/// Runs a command that must succeed with `input` on its stdin.
pub fn succeed_with_input(command: &mut Command, input: &str) -> Result<CommandOutput> {
    checked(command, |command| {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{command:?} did not start"))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        Ok(child.wait_with_output()?.into())
    })
}

fn checked(command: &mut Command, run: impl FnOnce(&mut Command) -> Result<CommandOutput>) -> Result<CommandOutput> {
    let output = run(command)?;
    if output.code != Some(0) {
        bail!(
            "{command:?} ended with {:?}: {}{}",
            output.code,
            output.stdout,
            output.stderr
        );
    }
    Ok(output)
}
