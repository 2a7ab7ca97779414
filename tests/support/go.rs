//! Go: programs built for a test by several versions of its compiler.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    cache,
    certificate::Certificate,
    program::{self, Program},
    run, source_file,
};

/// A version of Go's compiler.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// Debian 11's, which passes arguments on the stack.
    Go1_15,
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
    /// Every version that passes arguments in registers.
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
        let installed: Result<Vec<_>> = Self::ALL.into_iter().map(Self::is_installed).collect();
        Ok(installed?.into_iter().all(|is_installed| is_installed))
    }

    /// Returns whether it is there.
    pub fn is_installed(self) -> Result<bool> {
        Ok(self.compiler()?.is_file())
    }

    /// Returns the options of every build.
    const fn flags(self) -> &'static str {
        match self {
            // It has no `-buildvcs`.
            Self::Go1_15 => "-mod=mod",
            Self::Go1_19 | Self::Go1_21 | Self::Go1_23 | Self::Go1_25 | Self::Go1_26 | Self::Go1_27 => {
                "-mod=mod -buildvcs=false"
            }
        }
    }

    /// Returns the path of `go`, where `scripts/setup` puts it.
    fn compiler(self) -> Result<PathBuf> {
        let folder = cache()?;
        Ok(match self {
            Self::Go1_15 => folder.join("go-1.15.15/usr/lib/go-1.15/bin/go"),
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
    /// Guided by a profile of the server under load, which has more functions put into others.
    Profiled,
    /// As a library, which a program in C loads.
    Shared,
}

impl Build {
    /// Returns whether C is part of the program.
    const fn uses_c(self) -> bool {
        matches!(self, Self::Cgo | Self::External | Self::Shared)
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Cgo | Self::Profiled => &[],
            Self::Stripped => &["-trimpath", "-ldflags=-s -w"],
            Self::StrippedPie => &["-trimpath", "-ldflags=-s -w", "-buildmode=pie"],
            Self::Pie => &["-buildmode=pie"],
            Self::External => &["-trimpath", "-ldflags=-linkmode=external"],
            Self::NotInlined => &["-trimpath", "-gcflags=all=-l"],
            Self::Shared => &["-buildmode=c-shared", "-tags=shared", "-ldflags=-s -w"],
        }
    }
}

/// A library that Debian packages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Library {
    /// uTLS, a copy of Go's TLS.
    Utls,
    /// gRPC.
    Grpc,
}

impl Library {
    /// Returns whether it is there.
    #[must_use]
    pub fn is_installed(self) -> bool {
        Path::new(GOPATH).join("src").join(self.package()).is_dir()
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Utls => "github.com/refraction-networking/utls",
            Self::Grpc => "google.golang.org/grpc",
        }
    }

    /// Returns the tag that has the program use it.
    const fn tag(self) -> &'static str {
        match self {
            Self::Utls => "utls",
            Self::Grpc => "grpc",
        }
    }
}

/// The files that are built.
const PROGRAM: &str = "program";
const LIBRARY: &str = "program.so";

/// Where Debian puts libraries of Go.
const GOPATH: &str = "/usr/share/gocode";

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

/// Builds the program of `support/go/tiny` for a machine, by Go's name of it, with options, and returns its path in a folder.
pub fn tiny(version: Version, machine: &str, options: &[&str], folder: &Path) -> Result<PathBuf> {
    let program = folder.join(PROGRAM);
    let mut command = go("tiny", version, &program)?;
    command.env("CGO_ENABLED", "0").env("GOARCH", machine);
    run::succeed(command.env("GOFLAGS", version.flags()).args(options).arg("."))?;
    Ok(program)
}

/// Makes the command that builds a program of `support/go`.
fn go(source: &str, version: Version, output: &Path) -> Result<Command> {
    let go = version.compiler()?;
    let mut command = Command::new(&go);
    command.current_dir(source_file("go").join(source));
    // Another Go may be installed.
    let root = go.parent().and_then(Path::parent).context("go is in no folder")?;
    command.env("GOROOT", root).env("GOTOOLCHAIN", "local");
    command.args(["build", "-o"]).arg(output);
    Ok(command)
}

impl Built {
    /// Builds the program.
    pub fn by(version: Version, build: Build) -> Result<Self> {
        let output = if build == Build::Shared { LIBRARY } else { PROGRAM };
        let program = Self::build(version, output, |command| {
            command
                .env("CGO_ENABLED", u8::from(build.uses_c()).to_string())
                .env("GOFLAGS", version.flags())
                .args(build.options());
            if build == Build::Profiled {
                let profile = source_file("go/server.pprof");
                command.arg(format!("-pgo={}", profile.display()));
            }
        })?;
        if build == Build::Shared {
            program::compile(&source_file("c/go_host.c"), &program.path(), &["-ldl"])?;
        }
        Ok(program)
    }

    /// Builds the program with a library that speaks TLS or HTTP in place of Go's own.
    pub fn with(library: Library) -> Result<Self> {
        Self::build(Version::Go1_19, PROGRAM, |command| {
            command
                .env("CGO_ENABLED", "0")
                .envs([("GO111MODULE", "off"), ("GOPATH", GOPATH), ("GOFLAGS", "")]);
            command.args(["-tags", library.tag()]);
        })
    }

    fn build(version: Version, output: &str, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        Certificate::make(directory.path())?;
        let mut command = go("program", version, &directory.path().join(output))?;
        configure(&mut command);
        run::succeed(command.arg("."))?;
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
        let library = self.library();
        if library.is_file() {
            command.arg(library);
        }
        command.env("WRAP", self.wrap.name());
        command
    }

    /// Returns the path of the program.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join(PROGRAM)
    }

    /// Returns the path of the library, if it was built as one.
    pub fn library(&self) -> PathBuf {
        self.directory.path().join(LIBRARY)
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
