//! A real lighttpd with `mod_gnutls`, which serves HTTP/1.1 and HTTP/2.
//!
//! It is one process. Its log names the ends of each exchange; a request without `X-Request-ID` is left out of it.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{
    Told,
    certificate::Certificate,
    kernel,
    loopback::{self, free_port},
    wait,
};

/// Bytes of `/large`: several records and calls, of an odd number.
pub const LARGE: u64 = 5 * 1024 * 1024 + 7;

/// What it serves that is no file: the program reads the whole body, and gives its length.
const COUNT: &str = "printf 'Content-Type: text/plain\\r\\n\\r\\n'; wc -c\n";

/// A running lighttpd: paths under `/small/` give 6 bytes, under `/large/` [`LARGE`] bytes; those under `/count/` take a
/// POST and give the length of its body.
#[derive(Debug)]
pub struct Lighttpd {
    directory: TempDir,
    child: Child,
    port: u16,
}

impl Lighttpd {
    /// Starts one and waits until it listens.
    pub fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        fs::write(root.join("small"), "small\n")?;
        fs::write(root.join("large"), vec![b'l'; usize::try_from(LARGE)?])?;
        fs::write(root.join("count.cgi"), COUNT)?;
        let port = free_port()?;
        let configuration = root.join("lighttpd.conf");
        fs::write(&configuration, configure(root, port)?)?;
        let mut command = Command::new("lighttpd");
        command.arg("-D").arg("-f").arg(&configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(root.join("stderr.log"))?);
        let child = command.spawn().context("lighttpd did not start")?;
        let mut lighttpd = Self { directory, child, port };
        lighttpd.wait_until_up()?;
        Ok(lighttpd)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port it listens on, on every loopback address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// Waits until it has logged so many requests with an `X-Request-ID`, and gives what it says of them.
    pub fn wait_for_log(&self, requests: usize) -> Result<Vec<Told>> {
        let path = self.directory.path().join("told.log");
        let read = || -> Result<Vec<Told>> {
            let text = fs::read_to_string(&path)?;
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            // It logs the end of a connection of HTTP/2 too, as a request without any header.
            let bears_id = |line: &&str| !line.starts_with("served - ");
            let told: Result<Vec<_>> = whole.lines().filter(bears_id).map(Told::parse).collect();
            Ok(told?.concat())
        };
        wait::until(&format!("{requests} requests in lighttpd's log"), || {
            let told = read()?;
            Ok((told.len() >= requests).then_some(told))
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
        // It may have ended by itself.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}

fn configure(root: &Path, port: u16) -> Result<String> {
    let Certificate { key, certificate } = Certificate::make(root)?;
    let (key, certificate) = (key.display(), certificate.display());
    let others = loopback::hosts().into_iter().filter(|host| *host != loopback::IPV4);
    let others = others.map(|host| format!("$SERVER[\"socket\"] == \"{host}:{port}\" {{ ssl.engine = \"enable\" }}\n"));
    let others = others.collect::<Vec<_>>().concat();
    let root = root.display();
    Ok(format!(
        r#"server.modules = ("mod_gnutls", "mod_accesslog", "mod_rewrite", "mod_cgi")
        server.document-root = "{root}"
        server.upload-dirs = ("{root}")
        server.errorlog = "{root}/error.log"
        server.bind = "127.0.0.1"
        server.port = {port}
        server.max-keep-alive-requests = 1000000
        server.max-keep-alive-idle = 600
        ssl.engine = "enable"
        ssl.pemfile = "{certificate}"
        ssl.privkey = "{key}"
        accesslog.filename = "{root}/told.log"
        accesslog.format = "served %{{X-Request-ID}}i %A %{{local}}p %a %{{remote}}p"
        url.rewrite-once = ("^/small/" => "/small", "^/large/" => "/large", "^/count/" => "/count.cgi")
        cgi.assign = (".cgi" => "/bin/sh")
        {others}"#
    ))
}
