//! lighttpd, which serves HTTP/1.1 and HTTP/2 in one process by one of several TLS libraries.
//!
//! Its log has both addresses of each exchange. Requests without `X-Request-ID` are ignored.

use std::{
    fs,
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    LoggedExchange,
    certificate::Certificate,
    kernel,
    loopback::{self, free_port},
    wait,
};

/// The size of `/large` in bytes: an odd number of several records and calls.
pub const LARGE: u64 = 5 * 1024 * 1024 + 7;

/// The CGI program under `/count/`, which reads the body and returns its length.
const COUNT: &str = "printf 'Content-Type: text/plain\\r\\n\\r\\n'; wc -c\n";

/// The TLS library of a lighttpd.
#[derive(Clone, Copy, Debug)]
pub enum Library {
    /// `GnuTLS`.
    GnuTls,
    /// Mbed TLS.
    MbedTls,
    /// wolfSSL.
    WolfSsl,
    /// NSS.
    Nss,
}

impl Library {
    /// Returns the name of lighttpd's module for it.
    const fn module(self) -> &'static str {
        match self {
            Self::GnuTls => "mod_gnutls",
            Self::MbedTls => "mod_mbedtls",
            Self::WolfSsl => "mod_wolfssl",
            Self::Nss => "mod_nss",
        }
    }
}

/// A running lighttpd.
///
/// Paths under `/small/` give 6 bytes, under `/large/` [`LARGE`] bytes. Paths under `/count/` take a POST and give the
/// length of its body.
#[derive(Debug)]
pub struct Lighttpd {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl Lighttpd {
    /// Starts lighttpd with a library and waits until it listens.
    pub fn start(library: Library) -> Result<Self> {
        Self::start_with(library, None)
    }

    /// Starts lighttpd with a number of workers, which its first process forks.
    pub fn start_with(library: Library, workers: Option<usize>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        fs::write(root.join("small"), "small\n")?;
        fs::write(root.join("large"), vec![b'l'; usize::try_from(LARGE)?])?;
        fs::write(root.join("count.cgi"), COUNT)?;
        let port = free_port()?;
        let configuration = root.join("lighttpd.conf");
        fs::write(&configuration, configure(root, port, library, workers)?)?;
        let mut command = Command::new("lighttpd");
        // With workers it ends its whole group.
        command.process_group(0);
        command.arg("-D").arg("-f").arg(&configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(root.join("stderr.log"))?);
        let child = command.spawn().context("lighttpd did not start")?;
        let mut lighttpd = Self { directory, child, port };
        lighttpd.wait_until_up()?;
        Ok(lighttpd)
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the port that it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until its log has this many requests with an `X-Request-ID`, and returns their exchanges.
    pub fn wait_for_log(&self, requests: usize) -> Result<Vec<LoggedExchange>> {
        let path = self.directory.path().join("exchanges.log");
        let read = || -> Result<Vec<LoggedExchange>> {
            let text = fs::read_to_string(&path)?;
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            // It also logs the end of an HTTP/2 connection, as a request without fields.
            let has_id = |line: &&str| !line.starts_with("served - ");
            let logged: Result<Vec<_>> = whole.lines().filter(has_id).map(LoggedExchange::parse).collect();
            Ok(logged?.concat())
        };
        wait::until(&format!("{requests} requests in lighttpd's log"), || {
            let logged = read()?;
            Ok((logged.len() >= requests).then_some(logged))
        })
    }

    fn wait_until_up(&mut self) -> Result<()> {
        wait::until_true("lighttpd listens", || {
            let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
            let ended = self.child.try_wait()?.is_some();
            ensure!(!ended, "lighttpd ended: {}{}", read("stderr.log"), read("error.log"));
            Ok(TcpStream::connect(("127.0.0.1", self.port)).is_ok())
        })
    }
}

impl Drop for Lighttpd {
    fn drop(&mut self) {
        // It may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}

fn configure(root: &Path, port: u16, library: Library, workers: Option<usize>) -> Result<String> {
    let Certificate { key, certificate } = Certificate::make(root)?;
    let (key, certificate) = (key.display(), certificate.display());
    let others = loopback::hosts().into_iter().filter(|host| *host != loopback::IPV4);
    let others = others.map(|host| format!("$SERVER[\"socket\"] == \"{host}:{port}\" {{ ssl.engine = \"enable\" }}\n"));
    let others = others.collect::<Vec<_>>().concat();
    let root = root.display();
    let module = library.module();
    let workers = workers.map(|workers| format!("server.max-worker = {workers}\n"));
    let workers = workers.unwrap_or_default();
    Ok(format!(
        r#"server.modules = ("{module}", "mod_accesslog", "mod_rewrite", "mod_cgi")
        server.document-root = "{root}"
        server.upload-dirs = ("{root}")
        server.errorlog = "{root}/error.log"
        server.bind = "127.0.0.1"
        server.port = {port}
        {workers}        server.max-keep-alive-requests = 1000000
        server.max-keep-alive-idle = 600
        ssl.engine = "enable"
        ssl.pemfile = "{certificate}"
        ssl.privkey = "{key}"
        accesslog.filename = "{root}/exchanges.log"
        accesslog.format = "served %{{X-Request-ID}}i %A %{{local}}p %a %{{remote}}p"
        url.rewrite-once = ("^/small/" => "/small", "^/large/" => "/large", "^/count/" => "/count.cgi")
        cgi.assign = (".cgi" => "/bin/sh")
        {others}"#
    ))
}
