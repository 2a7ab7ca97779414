//! A terminal: a session of tmux with a server of its own.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::{run, wait};

/// A terminal in which a shell script runs.
pub struct Tmux {
    directory: TempDir,
}

impl Tmux {
    /// Runs a script with the environment's `PATH` in a terminal of this many columns and lines.
    pub fn start(script: &str, columns: u16, lines: u16) -> Result<Self> {
        let terminal = Self {
            directory: tempfile::tempdir()?,
        };
        let mut command = terminal.command();
        let (columns, lines) = (columns.to_string(), lines.to_string());
        command.args(["new-session", "-d", "-x", &columns, "-y", &lines, "sh", "-c", script]);
        run::succeed(command.current_dir(terminal.directory.path()))?;
        Ok(terminal)
    }

    /// Returns the folder in which the script runs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Presses keys, each by tmux's name for it: `q`, `Enter`, `C-c`.
    pub fn keys(&self, keys: &[&str]) -> Result<()> {
        run::succeed(self.command().arg("send-keys").args(keys)).map(drop)
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, lines: u16) -> Result<()> {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        run::succeed(self.command().args(["resize-window", "-x", &columns, "-y", &lines])).map(drop)
    }

    /// Returns the lines of the screen.
    pub fn screen(&self) -> Result<String> {
        Ok(run::succeed(self.command().args(["capture-pane", "-p"]))?.stdout)
    }

    /// Waits until the screen fulfils a condition, and returns it.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> Result<String> {
        let found = wait::until(what, || Ok(Some(self.screen()?).filter(|screen| condition(screen))));
        if found.is_err() {
            let screen = self.screen()?;
            ensure!(false, "{what} is not on the screen:\n{screen}");
        }
        found
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        // No configuration of the user changes what is on the screen.
        command
            .args(["-f", "/dev/null", "-S"])
            .arg(self.directory.path().join("socket"));
        command.env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // The server ends with its last session, so it may be gone.
        drop(self.command().arg("kill-server").stderr(Stdio::null()).status());
    }
}
