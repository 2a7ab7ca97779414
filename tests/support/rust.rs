//! Rust: programs built for a test with several versions of rustls, in several ways.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use tempfile::TempDir;

use crate::{cache, certificate::Certificate, program::Program, run, source_file};

/// A version of rustls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// 0.21.
    V21,
    /// 0.22.
    V22,
    /// 0.23, with ring.
    V23,
    /// 0.23, with AWS-LC, which is its provider by default.
    V23AwsLc,
}

impl Version {
    /// Every version.
    pub const ALL: [Self; 4] = [Self::V21, Self::V22, Self::V23, Self::V23AwsLc];

    const fn name(self) -> &'static str {
        match self {
            Self::V21 => "0.21",
            Self::V22 => "0.22",
            Self::V23 => "0.23",
            Self::V23AwsLc => "0.23-aws_lc_rs",
        }
    }

    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::V21 | Self::V22 | Self::V23 => &[],
            Self::V23AwsLc => &["--no-default-features", "--features", "aws_lc_rs"],
        }
    }

    /// Returns the folder of its program, whose sources it shares with the others.
    fn folder(self) -> PathBuf {
        let name = match self {
            Self::V21 | Self::V22 | Self::V23 => self.name(),
            Self::V23AwsLc => Self::V23.name(),
        };
        source_file("rust").join(name)
    }

    /// Returns whether its crates are there.
    fn is_fetched(self) -> Result<bool> {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
        let cargo = cargo
            .current_dir(self.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(cargo.status()?.success())
    }

    /// Returns whether those of all versions are there.
    pub fn are_fetched() -> Result<bool> {
        let fetched: Result<Vec<_>> = Self::ALL.into_iter().map(Self::is_fetched).collect();
        Ok(fetched?.into_iter().all(|is_fetched| is_fetched))
    }
}

/// How a program is built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Build {
    /// As `cargo build --release` does.
    Release,
    /// With names mangled in the newer way.
    NewMangling,
    /// With rustls for a small size.
    Small,
    /// With rustls for the smallest size.
    Smallest,
    /// Optimised as one, so that functions are put into others.
    Fat,
    /// Any of these, and then stripped of its symbols.
    Stripped(&'static Self),
}

impl Build {
    /// Returns the folder that it shares with those that are built of the same dependencies.
    const fn folder(self) -> &'static str {
        match self {
            Self::Release | Self::Small | Self::Smallest => "release",
            Self::NewMangling => "v0",
            Self::Fat => "fat",
            Self::Stripped(build) => build.folder(),
        }
    }

    const fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Release | Self::Small | Self::Smallest => &[],
            Self::NewMangling => &[("RUSTFLAGS", "-Csymbol-mangling-version=v0")],
            Self::Fat => &[
                ("CARGO_PROFILE_RELEASE_LTO", "fat"),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
            ],
            Self::Stripped(build) => build.environment(),
        }
    }

    /// Returns how rustls alone is built, so that its dependencies are not built again.
    const fn config(self) -> &'static [&'static str] {
        match self {
            Self::Release | Self::NewMangling | Self::Fat => &[],
            Self::Small => &["--config", r#"profile.release.package.rustls.opt-level="s""#],
            Self::Smallest => &["--config", r#"profile.release.package.rustls.opt-level="z""#],
            Self::Stripped(build) => build.config(),
        }
    }

    const fn is_stripped(self) -> bool {
        match self {
            Self::Release | Self::NewMangling | Self::Small | Self::Smallest | Self::Fat => false,
            Self::Stripped(_) => true,
        }
    }
}

/// The program of `support/rust`, and a certificate for it.
#[derive(Debug)]
pub struct Built {
    directory: TempDir,
    program: PathBuf,
}

/// What a program moves its bytes with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runtime {
    /// A thread for each connection, which blocks.
    Threads,
    /// Tasks of tokio, and hyper.
    Tokio,
}

impl Runtime {
    const fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Tokio => "tokio",
        }
    }
}

impl Built {
    /// Builds the program, or takes what an earlier test has built of the same sources.
    pub fn by(version: Version, build: Build) -> Result<Self> {
        /// Builds that share a folder leave their program at the same place.
        static BUILDING: Mutex<()> = Mutex::new(());
        // All versions have most of their dependencies in common.
        let target = cache()?.join("rust").join(build.folder());
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--quiet", "--release", "--offline", "--locked"])
            .args(version.features())
            .args(build.config())
            .current_dir(version.folder())
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "0")
            // A test is run by a cargo that has its own.
            .env_remove("RUSTFLAGS")
            .envs(build.environment().iter().copied());
        let directory = tempfile::tempdir()?;
        Certificate::make(directory.path())?;
        let program = directory.path().join("program");
        let building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        run::succeed(&mut cargo)?;
        let linked = target.join("release/program");
        if build.is_stripped() {
            run::succeed(Command::new("strip").arg("-o").args([&program, &linked]))?;
        } else {
            // By another process: a file that this one has open for writing cannot be run.
            run::succeed(Command::new("cp").args([&linked, &program]))?;
        }
        drop(building);
        Ok(Self { directory, program })
    }

    /// Returns the path of the program.
    pub const fn path(&self) -> &PathBuf {
        &self.program
    }

    /// Starts it as a server.
    pub fn serve(&self, runtime: Runtime) -> Result<Program> {
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| self.directory.path().join(name));
        let mut command = Command::new(&self.program);
        Program::run(command.args(["serve", runtime.name()]).arg(certificate).arg(key))
    }

    /// Starts it as a client that sends so many requests over each of so many connections.
    pub fn ask(
        &self,
        runtime: Runtime,
        port: u16,
        (connections, requests): (usize, usize),
        protocol: &str,
    ) -> Result<Program> {
        let mut command = Command::new(&self.program);
        command.args(["ask", runtime.name(), &format!("127.0.0.1:{port}")]);
        command.args([&connections.to_string(), &requests.to_string(), protocol]);
        Program::run(&mut command)
    }
}
