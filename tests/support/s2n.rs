//! The program of `support/s2n`, which the crate s2n-tls is linked into: built on demand, like the programs of Go.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use tempfile::TempDir;

use crate::{cache, certificate::Certificate, copy, program::Program, run, source_file};

/// The program, and a certificate for it.
#[derive(Debug)]
pub struct Built {
    directory: TempDir,
}

/// Returns whether the crates that it needs are there, or can be fetched.
pub fn can_be_built() -> Result<bool> {
    Ok(run::run(&mut cargo("fetch"))?.code == Some(0))
}

/// Makes a command of cargo for the program, apart from the workspace.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--quiet", "--locked", "--manifest-path"]);
    cargo.arg(source_file("s2n").join("Cargo.toml"));
    cargo
}

impl Built {
    /// Builds the program, with the names of its functions or without. The first time takes minutes.
    pub fn by(is_stripped: bool) -> Result<Self> {
        let target = cache()?.join("s2n");
        run::succeed(cargo("build").args(["--release", "--target-dir"]).arg(&target))?;
        let directory = tempfile::tempdir()?;
        Certificate::make(directory.path())?;
        let built = Self { directory };
        copy::file(&target.join("release/s2n-program"), &built.path())?;
        if is_stripped {
            run::succeed(Command::new("strip").arg(built.path()))?;
        }
        Ok(built)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.directory.path()).join(name)
    }

    fn path(&self) -> PathBuf {
        self.file("program")
    }

    /// Starts it as a server.
    pub fn serve(&self) -> Result<Program> {
        let mut command = Command::new(self.path());
        Program::run(command.arg("serve").args([self.file("cert.pem"), self.file("key.pem")]))
    }

    /// Starts it as a client that sends so many requests over each of so many connections.
    pub fn ask(&self, port: u16, connections: usize, requests: usize) -> Result<Program> {
        let words = [port.to_string(), connections.to_string(), requests.to_string()];
        Program::run(Command::new(self.path()).arg("ask").args(words))
    }
}
