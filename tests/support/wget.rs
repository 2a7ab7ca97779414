//! wget, which Debian links with `GnuTLS`: one that asks and is done, and one that can be attached to before it begins.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{run, wait};

/// What is the same for all: no file, no configuration, and no question about the certificate.
const COMMON: [&str; 6] = [
    "--quiet",
    "--no-config",
    "--no-check-certificate",
    "--no-hsts",
    "--output-document=/dev/null",
    "--tries=1",
];

/// Asks for all of `urls`, one after the other on one connection, and must succeed.
pub fn ask(urls: &[String]) -> Result<()> {
    run::succeed(Command::new("wget").args(COMMON).args(urls)).map(drop)
}

/// A wget that has loaded its libraries and waits for addresses.
#[derive(Debug)]
pub struct Waiting(Child);

impl Waiting {
    /// Starts it and waits until it reads its stdin: its libraries are mapped then.
    pub fn start() -> Result<Self> {
        let mut command = Command::new("wget");
        command.args(COMMON).args(["--input-file", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let waiting = Self(command.spawn().context("wget did not start")?);
        wait::until_true("wget maps libgnutls", || {
            Ok(std::fs::read_to_string(format!("/proc/{}/maps", waiting.pid()))?.contains("libgnutls"))
        })?;
        Ok(waiting)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Lets it ask for all of `urls`, one after the other on one connection, and waits until it has succeeded.
    pub fn ask(mut self, urls: &[String]) -> Result<()> {
        let mut stdin = self.0.stdin.take().context("wget reads its stdin")?;
        for url in urls {
            writeln!(stdin, "{url}")?;
        }
        drop(stdin);
        let status = wait::until("the end of wget", || Ok(self.0.try_wait()?))?;
        ensure!(status.success(), "wget ended with {status}");
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
