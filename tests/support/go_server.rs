//! Servers that are written in Go: Caddy and Prometheus.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{cache, certificate::Certificate, kernel, loopback, wait};

/// A release of Caddy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Release {
    /// Debian's, of Go 1.19.
    Caddy2_6,
    /// The project's own, stripped.
    Caddy2_11,
}

impl Release {
    fn program(self) -> Result<PathBuf> {
        Ok(match self {
            Self::Caddy2_6 => "caddy".into(),
            Self::Caddy2_11 => cache()?.join("caddy-2.11.7/caddy"),
        })
    }

    /// Returns whether it is there.
    pub fn is_installed(self) -> Result<bool> {
        Ok(self == Self::Caddy2_6 || self.program()?.is_file())
    }
}

/// A server that is written in Go.
#[derive(Debug)]
pub struct Server {
    _directory: TempDir,
    child: Child,
    port: u16,
}

impl Server {
    /// Starts Caddy in front of a server of TLS, which it talks to in HTTP/1.1 or in any version.
    pub fn caddy(release: Release, server: u16, versions: &str) -> Result<Self> {
        let transport = format!("tls_insecure_skip_verify\n   versions {versions}");
        Self::caddy_before(release, &format!("https://127.0.0.1:{server}"), &transport)
    }

    /// Starts Caddy in front of the server at a URL, with these lines of its transport.
    pub fn caddy_before(release: Release, server: &str, transport: &str) -> Result<Self> {
        Self::start(&release.program()?, |root, port| {
            let Certificate { key, certificate } = Certificate::make(root)?;
            let (key, certificate) = (key.display(), certificate.display());
            let configuration = root.join("Caddyfile");
            std::fs::write(
                &configuration,
                format!(
                    "{{\n admin off\n auto_https off\n}}\nhttps://:{port} {{\n tls {certificate} {key}\n \
                     reverse_proxy {server} {{\n  transport http {{\n   {transport}\n  }}\n }}\n}}\n"
                ),
            )?;
            let arguments = ["run", "--adapter", "caddyfile", "--config"].map(OsString::from);
            Ok([&arguments[..], &[configuration.into()]].concat())
        })
    }

    /// Starts Prometheus, whose pages nothing is scraped for.
    pub fn prometheus() -> Result<Self> {
        Self::start(Path::new("prometheus"), |root, port| {
            let Certificate { key, certificate } = Certificate::make(root)?;
            let (main, web) = (root.join("prometheus.yml"), root.join("web.yml"));
            std::fs::write(&main, "scrape_configs: []\n")?;
            std::fs::write(
                &web,
                format!(
                    "tls_server_config:\n  cert_file: {}\n  key_file: {}\n",
                    certificate.display(),
                    key.display()
                ),
            )?;
            Ok(vec![
                option("--config.file=", &main),
                option("--web.config.file=", &web),
                option("--storage.tsdb.path=", &root.join("data")),
                format!("--web.listen-address=127.0.0.1:{port}").into(),
            ])
        })
    }

    /// Starts a program with the arguments that are made for a folder and a port, and waits until it listens.
    fn start(program: &Path, arguments: impl FnOnce(&Path, u16) -> Result<Vec<OsString>>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        let port = loopback::free_port()?;
        let mut command = Command::new(program);
        command.args(arguments(root, port)?);
        command
            .env("HOME", root)
            .env("XDG_DATA_HOME", root)
            .env("XDG_CONFIG_HOME", root);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(root.join("stderr.log"))?);
        let child = command
            .spawn()
            .with_context(|| format!("{} did not start", program.display()))?;
        let mut server = Self {
            _directory: directory,
            child,
            port,
        };
        wait::until_true(&format!("{} listens", program.display()), || {
            ensure!(server.child.try_wait()?.is_none(), "it ended");
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(server)
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the port that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }
}

/// Joins an option and a path.
fn option(name: &str, path: &Path) -> OsString {
    [OsStr::new(name), path.as_os_str()].into_iter().collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}
