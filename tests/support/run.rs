//! Running a program to its end.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Ran {
    /// Counts the lines of stderr.
    pub fn complaints(&self) -> usize {
        self.stderr.lines().count()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        Self {
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

/// Runs a command to its end, with nothing on its stdin.
pub fn run(command: &mut Command) -> Result<Ran> {
    let output = command.stdin(Stdio::null()).output();
    Ok(output.with_context(|| format!("{command:?} did not start"))?.into())
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Result<Ran> {
    checked(command, run)
}

/// Runs a command that must succeed with `input` on its stdin.
pub fn succeed_with_input(command: &mut Command, input: &str) -> Result<Ran> {
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

fn checked(command: &mut Command, run: impl FnOnce(&mut Command) -> Result<Ran>) -> Result<Ran> {
    let ran = run(command)?;
    if ran.code != Some(0) {
        bail!("{command:?} ended with {:?}: {}{}", ran.code, ran.stdout, ran.stderr);
    }
    Ok(ran)
}
