//! Runs a program to its end.

use std::{
    env,
    io::Write as _,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
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

/// Runs a command to its end, with an empty stdin. Fails if it takes longer than any build of a test does.
pub fn run(command: &mut Command) -> Result<CommandOutput> {
    command.stdin(Stdio::null());
    let child = spawn(command)?;
    wait(child, command)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("{command:?} did not start"))
}

/// Waits for the end of a program, and kills one that does not end.
fn wait(child: Child, command: &Command) -> Result<CommandOutput> {
    let pid = child.id();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    match end.recv_timeout(LONGEST) {
        Ok(output) => Ok(output?.into()),
        Err(_late) => {
            Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
            bail!("{command:?} did not end in {LONGEST:?}")
        }
    }
}

/// Longer than any build of a test takes, also beside other work.
const LONGEST: Duration = Duration::from_mins(15);

/// Runs a command to its end. Fails unless it exits with 0.
pub fn succeed(command: &mut Command) -> Result<CommandOutput> {
    checked(command, run)
}

/// Runs a command that must succeed with `input` on its stdin.
pub fn succeed_with_input(command: &mut Command, input: &str) -> Result<CommandOutput> {
    checked(command, |command| {
        let mut child = spawn(command.stdin(Stdio::piped()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        wait(child, command)
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
