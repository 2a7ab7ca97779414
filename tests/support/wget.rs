//! wget, which Debian links with `GnuTLS`, run to its end, or started and paused until the tracer has attached.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{run, wait};

/// Common arguments: no output file, no configuration, no verification of the certificate.
const COMMON: [&str; 6] = [
    "--quiet",
    "--no-config",
    "--no-check-certificate",
    "--no-hsts",
    "--output-document=/dev/null",
    "--tries=1",
];

/// Requests `urls` one after the other on one connection. Fails unless wget succeeds.
pub fn request(urls: &[String]) -> Result<()> {
    run::succeed(Command::new("wget").args(COMMON).args(urls)).map(drop)
}

/// A wget that has loaded its libraries and reads URLs from stdin.
#[derive(Debug)]
pub struct Waiting(Child);

impl Waiting {
    /// Starts wget and waits until it maps libgnutls.
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

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Requests `urls` one after the other on one connection, and waits until wget has succeeded.
    pub fn request(mut self, urls: &[String]) -> Result<()> {
        let mut stdin = self.0.stdin.take().context("wget has no stdin")?;
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
        // It has usually ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
