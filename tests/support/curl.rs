//! curl: one that asks and is done, and one that can be attached to before it begins.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{Ran, run, wait};

/// Asks for something with words of curl's own; the certificate is not checked.
pub fn ask(words: &[&str]) -> Result<Ran> {
    run::succeed(
        Command::new("curl")
            .args(["--silent", "--show-error", "--insecure", "--http1.1"])
            .args(words),
    )
}

/// A curl that has loaded its libraries and waits for its configuration.
#[derive(Debug)]
pub struct Waiting(Child);

impl Waiting {
    /// Starts it and waits until libssl is mapped; `version` is curl's option for a version of HTTP.
    pub fn start(version: &str) -> Result<Self> {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--insecure",
            version,
            "--fail",
            "--config",
            "-",
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let waiting = Self(command.spawn().context("curl did not start")?);
        wait::until_true("curl maps libssl", || {
            Ok(std::fs::read_to_string(format!("/proc/{}/maps", waiting.pid()))?.contains("libssl"))
        })?;
        Ok(waiting)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it ask for all of `urls`, one after the other, and waits until it has succeeded.
    pub fn ask(mut self, urls: &[String]) -> Result<()> {
        let mut stdin = self.0.stdin.take().context("curl reads its stdin")?;
        for url in urls {
            writeln!(stdin, "url = \"{url}\"\noutput = \"/dev/null\"")?;
        }
        drop(stdin);
        let status = wait::until("the end of curl", || Ok(self.0.try_wait()?))?;
        ensure!(status.success(), "curl ended with {status}");
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has usually ended before.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
