//! A real haproxy: TLS from its clients and TLS to its backend, both through BIOs of its own.
//!
//! It runs as Debian runs it, a master and a worker. Its log tells both sides of each request; with more than one thread
//! it may leave lines out, when two are to be written at the same time.

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
    Told,
    certificate::Certificate,
    kernel,
    loopback::{self, free_port},
    told, wait,
};

/// A line of the log tells of the exchange with the client and of that with the backend.
const FORMAT: &str = "served %[capture.req.hdr(0)] %fi %fp %ci %cp asked %[capture.req.hdr(0)] %bi %bp %si %sp";

/// A running haproxy.
#[derive(Debug)]
pub struct Haproxy {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl Haproxy {
    /// Starts one in front of a backend on every loopback address, with so many threads, and waits until it
    /// answers.
    pub fn start(backend: u16, threads: usize) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        let port = free_port()?;
        let configuration = root.join("haproxy.cfg");
        fs::write(&configuration, configure(root, port, backend, threads)?)?;
        let mut command = Command::new("haproxy");
        command.args(["-W", "-f"]).arg(&configuration).stdin(Stdio::null());
        command.stdout(fs::File::create(log(root))?);
        command.stderr(fs::File::create(root.join("error.log"))?);
        let child = command.spawn().context("haproxy did not start")?;
        let mut haproxy = Self { directory, child, port };
        haproxy.wait_until_up()?;
        Ok(haproxy)
    }

    /// The master's process id.
    pub fn master(&self) -> u32 {
        self.child.id()
    }

    /// The port it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it has logged so many requests, and gives what it says of them: both of their exchanges.
    pub fn wait_for_log(&self, requests: usize) -> Result<Vec<Told>> {
        told::wait_for_log(&log(self.directory.path()), requests)
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
        // The master ends its worker; either may have ended by itself.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}

fn log(root: &Path) -> PathBuf {
    root.join("told.log")
}

fn configure(root: &Path, port: u16, backend: u16, threads: usize) -> Result<String> {
    let Certificate { key, certificate } = Certificate::make(root)?;
    let both = root.join("both.pem");
    fs::write(&both, [fs::read(certificate)?, fs::read(key)?].concat())?;
    let both = both.display();
    let (mut binds, mut servers) = (String::new(), String::new());
    for (number, host) in loopback::hosts().into_iter().enumerate() {
        writeln!(binds, "bind {host}:{port} ssl crt {both}")?;
        writeln!(servers, "server number-{number} {host}:{backend} ssl verify none")?;
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
            capture request header X-Request-ID len 64
            log-format \"{FORMAT}\"
            default_backend servers
        backend servers
            balance roundrobin
            {servers}"
    ))
}
