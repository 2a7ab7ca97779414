//! curl: one that asks and is done, and one that can be attached to before it begins.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{Ran, Told, lines::Lines, run, told, wait};

/// Asks for something with words of curl's own; the certificate is not checked.
pub fn ask(words: &[&str]) -> Result<Ran> {
    run::succeed(
        Command::new("curl")
            .args(["--silent", "--show-error", "--insecure", "--http1.1"])
            .args(words),
    )
}

/// What every request of a waiting curl has in common.
const COMMON: [&str; 4] = ["silent", "show-error", "insecure", "fail"];

/// Has curl tell what support/told.rs reads.
const TOLD: &str = "%{local_ip} %{local_port} %{remote_ip} %{remote_port}";

/// A curl that has loaded its libraries and waits for its configuration.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    stdout: Option<Lines>,
    version: &'static str,
    /// Options for the way to the server, if it is not the usual one.
    way: String,
}

impl Waiting {
    /// Starts it and waits until libssl is mapped; `version` is curl's option for a version of HTTP.
    pub fn start(version: &'static str) -> Result<Self> {
        let mut command = Command::new("curl");
        command.args(["--config", "-"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().context("curl did not start")?;
        let stdout = child.stdout.take().map(Lines::read);
        let way = String::new();
        let waiting = Self {
            child,
            stdout,
            version,
            way,
        };
        wait::until_true("curl maps libssl", || {
            Ok(std::fs::read_to_string(format!("/proc/{}/maps", waiting.pid()))?.contains("libssl"))
        })?;
        Ok(waiting)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it ask for all of `urls`, one after the other, and waits until it has succeeded.
    pub fn ask(self, urls: &[String]) -> Result<()> {
        self.configure("", urls).map(drop)
    }

    /// Lets it ask for all of `urls` through a unix socket, the first one with `X-Request-ID: curl-0`, and waits until it
    /// has succeeded.
    pub fn ask_through(mut self, socket: &Path, urls: &[String]) -> Result<()> {
        self.way = format!("unix-socket = \"{}\"\n", socket.display());
        self.ask(urls)
    }

    /// Lets it ask for all of `urls` in a tunnel through an HTTPS proxy, and waits until it has succeeded; gives what it
    /// says of them.
    pub fn ask_in_tunnel(mut self, proxy: &str, urls: &[String]) -> Result<Vec<Told>> {
        self.way = format!("proxy = \"{proxy}\"\nproxy-insecure\n");
        told::among(&self.configure("", urls)?)
    }

    /// Lets it ask for all of `urls` over at most so many connections at a time, the first one with `X-Request-ID: curl-0`,
    /// and waits until it has succeeded; gives what it says of them.
    pub fn ask_in_parallel(self, urls: &[String], connections: usize) -> Result<Vec<Told>> {
        let words = format!("parallel\nparallel-max = {connections}\nno-progress-meter\n");
        told::among(&self.configure(&words, urls)?)
    }

    fn configure(mut self, words: &str, urls: &[String]) -> Result<Vec<String>> {
        let mut stdin = self.child.stdin.take().context("curl reads its stdin")?;
        stdin.write_all(words.as_bytes())?;
        for (number, url) in urls.iter().enumerate() {
            // Each has options of its own.
            let next = if number > 0 { "next\n" } else { "" };
            let common = COMMON.join("\n");
            writeln!(
                stdin,
                "{next}{common}\n{}\n{}url = \"{url}\"\noutput = \"/dev/null\"",
                self.version, self.way
            )?;
            writeln!(stdin, "header = \"X-Request-ID: curl-{number}\"")?;
            writeln!(stdin, "write-out = \"asked curl-{number} {TOLD}\\n\"")?;
        }
        drop(stdin);
        let status = wait::until("the end of curl", || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "curl ended with {status}");
        Ok(self.stdout.take().map(Lines::finish).unwrap_or_default())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has usually ended before.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
