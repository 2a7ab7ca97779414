//! nghttpx: a gateway with HTTP/2 over TLS to its clients, and a configurable protocol to its backends.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    access_log::{self, Access, Tail},
    certificate::Certificate,
    kernel,
    loopback::free_port,
    wait,
};

/// The log format with the fields of [`Access`]; nghttpx has no request ids.
const FORMAT: &str = "- $remote_addr $remote_port - $method $status $path";

/// A running nghttpx: a main process, and a worker process with two threads.
#[derive(Debug)]
pub struct Nghttpx {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl Nghttpx {
    /// Starts nghttpx in front of backends, in the syntax of its option `backend`, and waits until it listens.
    pub fn start(backends: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = free_port()?;
        let configuration = directory.path().join("nghttpx.conf");
        fs::write(&configuration, configure(&directory, port, backends)?)?;
        let mut command = Command::new("nghttpx");
        command.arg(format!("--conf={}", configuration.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("nghttpx did not start")?;
        let mut nghttpx = Self { directory, child, port };
        nghttpx.wait_until_up()?;
        Ok(nghttpx)
    }

    /// Returns the PID of the main process.
    pub fn master(&self) -> u32 {
        self.child.id()
    }

    /// Returns the port that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until its log has this many requests, and returns them.
    pub fn wait_for_log(&self, count: usize) -> Result<Vec<Access>> {
        let path = self.directory.path().join("access.log");
        let mut tail = Tail::open(&path)?;
        wait::until_true(&format!("{count} lines in the log of nghttpx"), || {
            Ok(tail.count()? >= count)
        })?;
        access_log::read(&path)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        wait::until_true("nghttpx listens", || {
            let error = || fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default();
            ensure!(self.child.try_wait()?.is_none(), "nghttpx ended: {}", error());
            let works = !kernel::children(self.child.id())?.is_empty();
            Ok(works && TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })
    }
}

impl Drop for Nghttpx {
    fn drop(&mut self) {
        // The worker ends with the main process. Either may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}

fn configure(directory: &TempDir, port: u16, backends: &[&str]) -> Result<String> {
    let root = directory.path();
    let Certificate { key, certificate } = Certificate::make(root)?;
    let lines = [
        format!("frontend=127.0.0.1,{port}"),
        format!("private-key-file={}", key.display()),
        format!("certificate-file={}", certificate.display()),
        format!("accesslog-file={}", root.join("access.log").display()),
        format!("accesslog-format={FORMAT}"),
        format!("errorlog-file={}", root.join("error.log").display()),
        "workers=2\ninsecure=yes\nno-ocsp=yes\n".to_owned(),
    ];
    let backends = backends.iter().map(|backend| format!("backend={backend}\n"));
    Ok(lines.join("\n") + &backends.collect::<String>())
}
