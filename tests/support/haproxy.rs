//! haproxy with TLS to clients and, unless asked otherwise, to its backend, both through custom BIOs.
//!
//! It runs a master and a worker, as on Debian. Its log has both sides of each request. With more than one thread it
//! may drop lines that are written at the same time.

use std::{
    fmt::Write as _,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    LoggedExchange,
    certificate::Certificate,
    exchange_log, kernel,
    loopback::{self, free_port},
    wait,
};

/// The format of a line, with the exchange with the client and that with the backend.
const FORMAT: &str = "served %[capture.req.hdr(0)] %fi %fp %ci %cp asked %[capture.req.hdr(0)] %bi %bp %si %sp";

/// A running haproxy.
#[derive(Debug)]
pub struct Haproxy {
    directory: TempDir,
    child: Child,
    port: u16,
}

/// Options of a haproxy.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The port of the backend on every loopback address.
    pub backend: u16,
    /// Whether the backend has TLS.
    pub is_secure: bool,
    /// The number of threads.
    pub threads: usize,
    /// Additional lines of the frontend.
    pub frontend: &'a str,
}

impl Haproxy {
    /// Starts haproxy with this many threads in front of a backend on every loopback address, and waits until it
    /// listens.
    pub fn start(backend: u16, threads: usize) -> Result<Self> {
        Self::start_with(Setup {
            backend,
            is_secure: true,
            threads,
            frontend: "",
        })
    }

    /// Does the same without TLS to the backend.
    pub fn start_before_plain(backend: u16, threads: usize) -> Result<Self> {
        Self::start_with(Setup {
            backend,
            is_secure: false,
            threads,
            frontend: "",
        })
    }

    /// Starts haproxy with options, and waits until it listens.
    pub fn start_with(setup: Setup<'_>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        let port = free_port()?;
        let configuration = root.join("haproxy.cfg");
        fs::write(&configuration, configure(root, port, setup)?)?;
        let mut command = Command::new("haproxy");
        command.args(["-W", "-f"]).arg(&configuration).stdin(Stdio::null());
        command.stdout(fs::File::create(log(root))?);
        command.stderr(fs::File::create(root.join("error.log"))?);
        let child = command.spawn().context("haproxy did not start")?;
        let mut haproxy = Self { directory, child, port };
        haproxy.wait_until_up()?;
        Ok(haproxy)
    }

    /// Returns the PID of the master.
    pub fn master(&self) -> u32 {
        self.child.id()
    }

    /// Returns the port that it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits until its log has this many requests, and returns both exchanges of each.
    pub fn wait_for_log(&self, requests: usize) -> Result<Vec<LoggedExchange>> {
        exchange_log::wait_for(&log(self.directory.path()), requests)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        wait::until_true("haproxy listens", || {
            let error = || fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default();
            ensure!(self.child.try_wait()?.is_none(), "haproxy ended: {}", error());
            let works = !kernel::children(self.child.id())?.is_empty();
            Ok(works && TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // The master ends its worker. Either may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}

fn log(root: &Path) -> PathBuf {
    root.join("exchanges.log")
}

fn configure(root: &Path, port: u16, setup: Setup<'_>) -> Result<String> {
    let Setup {
        backend,
        is_secure,
        threads,
        frontend,
    } = setup;
    let options = if is_secure { "ssl verify none" } else { "" };
    let Certificate { key, certificate } = Certificate::make(root)?;
    let both = root.join("both.pem");
    fs::write(&both, [fs::read(certificate)?, fs::read(key)?].concat())?;
    let both = both.display();
    let (mut binds, mut servers) = (String::new(), String::new());
    for (number, host) in loopback::hosts().into_iter().enumerate() {
        writeln!(binds, "bind {host}:{port} ssl crt {both}")?;
        writeln!(servers, "server number-{number} {host}:{backend} {options}")?;
    }
    Ok(format!(
        "global
            log stdout format raw local0
            nbthread {threads}
        defaults
            mode http
            log global
            option dontlognull
            timeout connect 60s
            timeout client 600s
            timeout server 600s
            http-reuse safe
        frontend clients
            {binds}
            {frontend}
            capture request header X-Request-ID len 64
            log-format \"{FORMAT}\"
            default_backend servers
        backend servers
            balance roundrobin
            {servers}"
    ))
}
