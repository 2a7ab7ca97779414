//! curl, run to its end, or started and paused until the tracer has attached.

use std::{
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{CommandOutput, LoggedExchange, exchange_log, lines::Lines, run, wait};

/// Runs curl with arguments; it does not verify the certificate.
pub fn request(args: &[&str]) -> Result<CommandOutput> {
    run::succeed(
        Command::new("curl")
            .args(["--silent", "--show-error", "--insecure", "--http1.1"])
            .args(args),
    )
}

/// The options of every request of [`Waiting`].
const COMMON: [&str; 4] = ["silent", "show-error", "insecure", "fail"];

/// The `write-out` that `exchange_log` parses.
const WRITE_OUT: &str = "%{local_ip} %{local_port} %{remote_ip} %{remote_port}";

/// A curl that has loaded its libraries and reads its configuration from stdin.
#[derive(Debug)]
pub struct Waiting {
    child: Child,
    stdout: Option<Lines>,
    version: &'static str,
    /// Options for a UNIX socket or proxy.
    route: String,
}

impl Waiting {
    /// Starts curl and waits until it maps libssl. `version` is curl's option for the HTTP version.
    pub fn start(version: &'static str) -> Result<Self> {
        let mut command = Command::new("curl");
        command.args(["--config", "-"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().context("curl did not start")?;
        let stdout = child.stdout.take().map(Lines::read);
        let route = String::new();
        let waiting = Self {
            child,
            stdout,
            version,
            route,
        };
        wait::until_true("curl maps libssl", || {
            Ok(std::fs::read_to_string(format!("/proc/{}/maps", waiting.pid()))?.contains("libssl"))
        })?;
        Ok(waiting)
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Requests `urls` one after the other, and waits until curl has succeeded.
    pub fn request(self, urls: &[String]) -> Result<()> {
        self.configure("", urls).map(drop)
    }

    /// Requests `urls` over a UNIX socket with `X-Request-ID: curl-0` and so on, and waits until curl has succeeded.
    pub fn request_over(mut self, socket: &Path, urls: &[String]) -> Result<()> {
        self.route = format!("unix-socket = \"{}\"\n", socket.display());
        self.request(urls)
    }

    /// Requests `urls` in a tunnel through an HTTPS proxy, and waits until curl has succeeded. Returns the exchanges.
    pub fn request_through(mut self, proxy: &str, urls: &[String]) -> Result<Vec<LoggedExchange>> {
        self.route = format!("proxy = \"{proxy}\"\nproxy-insecure\n");
        exchange_log::parse(&self.configure("", urls)?)
    }

    /// Requests `urls` over at most this many concurrent connections with `X-Request-ID: curl-0` and so on, and waits
    /// until curl has succeeded. Returns the exchanges.
    pub fn request_in_parallel(self, urls: &[String], connections: usize) -> Result<Vec<LoggedExchange>> {
        let options = format!("parallel\nparallel-max = {connections}\nno-progress-meter\n");
        exchange_log::parse(&self.configure(&options, urls)?)
    }

    fn configure(mut self, options: &str, urls: &[String]) -> Result<Vec<String>> {
        let mut stdin = self.child.stdin.take().context("curl has no stdin")?;
        stdin.write_all(options.as_bytes())?;
        for (number, url) in urls.iter().enumerate() {
            let next = if number > 0 { "next\n" } else { "" };
            let common = COMMON.join("\n");
            writeln!(
                stdin,
                "{next}{common}\n{}\n{}url = \"{url}\"\noutput = \"/dev/null\"",
                self.version, self.route
            )?;
            writeln!(stdin, "header = \"X-Request-ID: curl-{number}\"")?;
            writeln!(stdin, "write-out = \"asked curl-{number} {WRITE_OUT}\\n\"")?;
        }
        drop(stdin);
        let status = wait::until("the end of curl", || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "curl ended with {status}");
        Ok(self.stdout.take().map(Lines::finish).unwrap_or_default())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has usually ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
