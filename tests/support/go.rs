//! Go: programs built for a test by several versions of its compiler, and Caddy.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{cache, certificate::Certificate, kernel, loopback, program::Program, run, source_file, wait};

/// A version of Go's compiler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// Debian's.
    Go1_19,
    /// One whose functions begin otherwise.
    Go1_21,
    /// One with another layout of a connection.
    Go1_23,
    /// One with another yet.
    Go1_25,
    /// The first one whose table of functions does not say where the code begins.
    Go1_26,
    /// The latest, without a section for its descriptions of types.
    Go1_27,
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 6] = [
        Self::Go1_19,
        Self::Go1_21,
        Self::Go1_23,
        Self::Go1_25,
        Self::Go1_26,
        Self::Go1_27,
    ];

    /// Returns whether all of them are there.
    pub fn are_installed() -> Result<bool> {
        let compilers: Result<Vec<_>> = Self::ALL.into_iter().map(Self::compiler).collect();
        Ok(compilers?.iter().all(|compiler| compiler.is_file()))
    }

    /// Returns the path of `go`, where `scripts/setup` puts it.
    fn compiler(self) -> Result<PathBuf> {
        let folder = cache()?;
        Ok(match self {
            Self::Go1_19 => PathBuf::from("/usr/lib/go-1.19/bin/go"),
            Self::Go1_21 => folder.join("go-1.21.13/go/bin/go"),
            Self::Go1_23 => folder.join("go-1.23.9/go/bin/go"),
            Self::Go1_25 => folder.join("go-1.25.5/go/bin/go"),
            Self::Go1_26 => folder.join("go-1.26.6/go/bin/go"),
            Self::Go1_27 => folder.join("go-1.27.3/go/bin/go"),
        })
    }
}

/// How a program is built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Build {
    /// With its symbols.
    Plain,
    /// Without symbols, and without the paths of its sources.
    Stripped,
    /// Without these, and at an address that is chosen as it is loaded.
    StrippedPie,
    /// With symbols, and at such an address.
    Pie,
    /// With C: names are resolved by the C library, and threads begin in it.
    Cgo,
    /// With C, linked by the C compiler.
    External,
    /// With no function put into another one.
    NotInlined,
}

impl Build {
    /// Returns whether C is part of the program.
    const fn uses_c(self) -> bool {
        matches!(self, Self::Cgo | Self::External)
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Cgo => &[],
            Self::Stripped => &["-trimpath", "-ldflags=-s -w"],
            Self::StrippedPie => &["-trimpath", "-ldflags=-s -w", "-buildmode=pie"],
            Self::Pie => &["-buildmode=pie"],
            Self::External => &["-trimpath", "-ldflags=-linkmode=external"],
            Self::NotInlined => &["-trimpath", "-gcflags=all=-l"],
        }
    }
}

/// The program of `support/go/program`, and a certificate for it.
#[derive(Debug)]
pub struct Built {
    directory: TempDir,
    wrap: Wrap,
}

/// What is between a `tls.Conn` and its TCP connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrap {
    /// Nothing.
    None,
    /// Connections of several kinds, in turn: such as embed another one, and one that has it in a field.
    Each,
    /// A connection whose writes are made by another goroutine.
    Handed,
}

impl Wrap {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Each => "each",
            Self::Handed => "handed",
        }
    }
}

impl Built {
    /// Builds the program.
    pub fn by(version: Version, build: Build) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        Certificate::make(directory.path())?;
        let go = version.compiler()?;
        let mut command = Command::new(&go);
        command.current_dir(source_file("go/program"));
        // Another Go may be installed.
        let root = go.parent().and_then(Path::parent).context("go is in no folder")?;
        command
            .env("GOROOT", root)
            .env("CGO_ENABLED", u8::from(build.uses_c()).to_string());
        command.envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=mod -buildvcs=false")]);
        command.args(["build", "-o"]).arg(directory.path().join("program"));
        run::succeed(command.args(build.options()).arg("."))?;
        let wrap = Wrap::None;
        Ok(Self { directory, wrap })
    }

    /// Has the program wrap its connections.
    #[must_use]
    pub fn wrapping(self, wrap: Wrap) -> Self {
        Self { wrap, ..self }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.env("WRAP", self.wrap.name());
        command
    }

    /// Returns the path of the program.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("program")
    }

    /// Starts it as a server.
    pub fn serve(&self, environment: &[(&str, &str)]) -> Result<Program> {
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| self.directory.path().join(name));
        let mut command = self.command();
        command.arg("serve").arg(certificate).arg(key);
        Program::run(command.envs(environment.iter().copied()))
    }

    /// Starts it as a client that sends so many requests over each of so many connections.
    pub fn ask(&self, url: &str, (connections, requests): (usize, usize), protocol: &str) -> Result<Program> {
        Program::run(&mut self.client(url, (connections, requests), protocol))
    }

    /// Does the same with a client that has used its connections before it prints `up`.
    pub fn ask_warm(&self, url: &str, (connections, requests): (usize, usize), protocol: &str) -> Result<Program> {
        Program::run(self.client(url, (connections, requests), protocol).arg("warm"))
    }

    fn client(&self, url: &str, (connections, requests): (usize, usize), protocol: &str) -> Command {
        let mut command = self.command();
        command.args(["ask", url, &connections.to_string(), &requests.to_string(), protocol]);
        command
    }
}

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

/// A running Caddy, which passes all requests on to a server.
#[derive(Debug)]
pub struct Caddy {
    _directory: TempDir,
    child: Child,
    port: u16,
}

impl Caddy {
    /// Starts Caddy in front of a server of TLS, which it talks to in HTTP/1.1 or in any version.
    pub fn start(release: Release, server: u16, versions: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let root = directory.path();
        let Certificate { key, certificate } = Certificate::make(root)?;
        let (port, key, certificate) = (loopback::free_port()?, key.display(), certificate.display());
        let configuration = root.join("Caddyfile");
        std::fs::write(
            &configuration,
            format!(
                "{{\n admin off\n auto_https off\n}}\nhttps://127.0.0.1:{port} {{\n tls {certificate} {key}\n \
                 reverse_proxy https://127.0.0.1:{server} {{\n  transport http {{\n   tls_insecure_skip_verify\n   \
                 versions {versions}\n  }}\n }}\n}}\n"
            ),
        )?;
        let mut command = Command::new(release.program()?);
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&configuration);
        command
            .env("HOME", root)
            .env("XDG_DATA_HOME", root)
            .env("XDG_CONFIG_HOME", root);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(root.join("stderr.log"))?);
        let child = command.spawn().context("caddy did not start")?;
        let mut caddy = Self {
            _directory: directory,
            child,
            port,
        };
        wait::until_true("caddy listens", || {
            ensure!(caddy.child.try_wait()?.is_none(), "caddy ended");
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(caddy)
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        // It may have ended already.
        drop(kernel::signal(self.child.id(), libc::SIGTERM));
        drop(self.child.wait());
    }
}
