//! Apache with `mod_ssl` and the event MPM, which uses custom BIOs.
//!
//! Any free thread of its children serves a connection. Its log lists the exchanges with its clients, and the log of
//! its backend those with the backend.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
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

/// The folder of Debian's modules.
const MODULES: &str = "/usr/lib/apache2/modules";

/// The modules to load.
const LOADED: [&str; 9] = [
    "mpm_event",
    "authz_core",
    "alias",
    "ssl",
    "proxy",
    "proxy_http",
    "proxy_connect",
    "unique_id",
    "headers",
];

/// More threads than connections, since Apache closes kept-alive connections when all threads are busy.
const THREADS: usize = 64;

/// A running Apache.
///
/// Paths under `/small/` give 6 bytes. Those under `/proxied/` are proxied to `/small/` of the backend. CONNECT is
/// allowed to the backend only.
#[derive(Debug)]
pub struct Apache {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl Apache {
    /// Starts Apache in front of a backend on 127.0.0.1, and waits until it listens.
    pub fn start(backend: u16) -> Result<Self> {
        Self::start_with(backend, "")
    }

    /// Does the same with additional lines of configuration.
    pub fn start_with(backend: u16, lines: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        // Its children run as nobody.
        fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        fs::write(root.join("small"), "small\n")?;
        let port = free_port()?;
        let configuration = root.join("apache.conf");
        fs::write(&configuration, configure(root, port, backend, lines)?)?;
        let mut command = Command::new("apache2");
        command.args(["-D", "FOREGROUND", "-f"]).arg(&configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(root.join("stderr.log"))?);
        let child = command.spawn().context("apache2 did not start")?;
        let mut apache = Self { directory, child, port };
        apache.wait_until_up()?;
        Ok(apache)
    }

    /// Returns the PID of the parent process.
    pub fn master(&self) -> u32 {
        self.child.id()
    }

    /// Returns the port that it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Waits until its log has this many requests, and returns their exchanges.
    pub fn wait_for_log(&self, requests: usize) -> Result<Vec<LoggedExchange>> {
        exchange_log::wait_for(&log(self.directory.path()), requests)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        wait::until_true("Apache listens", || {
            let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
            let ended = self.child.try_wait()?.is_some();
            ensure!(!ended, "apache2 ended: {}{}", read("stderr.log"), read("error.log"));
            let works = !kernel::children(self.child.id())?.is_empty();
            Ok(works && TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        // It ends its children. It may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}

fn log(root: &Path) -> PathBuf {
    root.join("exchanges.log")
}

fn configure(root: &Path, port: u16, backend: u16, lines: &str) -> Result<String> {
    let Certificate { key, certificate } = Certificate::make(root)?;
    let (key, certificate) = (key.display(), certificate.display());
    let load = |name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n");
    let modules: String = LOADED.map(load).concat();
    let listens = loopback::hosts()
        .into_iter()
        .map(|host| format!("Listen {host}:{port} https\n"));
    let listens = listens.collect::<Vec<_>>().concat();
    let root = root.display();
    Ok(format!(
        r#"ServerRoot {root}
        {modules}{listens}
        ServerName localhost
        User nobody
        Group nogroup
        DefaultRuntimeDir {root}
        PidFile apache.pid
        ErrorLog error.log
        LogFormat "served %{{X-Request-ID}}i %A %{{local}}p %a %{{remote}}p" exchanges
        CustomLog exchanges.log exchanges
        StartServers 2
        ThreadsPerChild {THREADS}
        KeepAliveTimeout 600
        MaxKeepAliveRequests 0
        DocumentRoot {root}
        AliasMatch ^/small/ {root}/small
        ProxyRequests On
        AllowCONNECT {backend}
        ProxyPass /proxied/ https://127.0.0.1:{backend}/small/
        SSLEngine on
        SSLCertificateFile {certificate}
        SSLCertificateKeyFile {key}
        SSLProxyEngine on
        SSLProxyVerify none
        SSLProxyCheckPeerName off
        SSLProxyCheckPeerCN off
        SSLProxyCheckPeerExpire off
        {lines}
        "#
    ))
}
