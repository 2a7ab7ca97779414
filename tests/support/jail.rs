//! A program in its own mount and PID namespace and root directory, as in a container.
//!
//! The paths of its libraries do not exist outside, and its inner PID belongs to no process outside.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    copy, kernel,
    program::{self, OPENSSL, Program},
    search, source_file, wait,
};

/// Uses up PIDs until the next one is `$0`, and starts the program in the root `$1` with that PID.
const SCRIPT: &str = r#"
    last=1
    while [ "$last" -lt "$(($0 - 1))" ]; do true & last=$!; wait; done
    root=$1; shift
    chroot "$root" /program "$@"
    exit $?
"#;

/// A running program and its root directory.
#[derive(Debug)]
pub struct Jailed {
    program: Program,
    outer: u32,
    inner: u32,
    _root: TempDir,
}

impl Jailed {
    /// Compiles a program of `support/c` into its own root directory and starts it there.
    pub fn c(source: &str, args: &[&str]) -> Result<Self> {
        let root = tempfile::tempdir()?;
        fill(root.path(), source)?;
        let inner = unused_pid()?;
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            SCRIPT,
        ]);
        command.arg(inner.to_string()).arg(root.path()).args(args);
        let program = Program::run(&mut command)?;
        let shell = only_child(program.pid())?;
        let outer = only_child(shell)?;
        Ok(Self {
            program,
            outer,
            inner,
            _root: root,
        })
    }

    /// Returns the program; its PID is that of `unshare`.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Returns its PID outside of its namespace.
    pub const fn outer(&self) -> u32 {
        self.outer
    }

    /// Returns its PID inside of its namespace, which no process outside has.
    pub const fn inner(&self) -> u32 {
        self.inner
    }

    /// Closes its stdin and waits until it has succeeded.
    pub fn finish(self) -> Result<()> {
        self.program.finish().map(drop)
    }
}

/// Compiles the program, and copies its libraries to the same paths below the root.
fn fill(root: &Path, source: &str) -> Result<()> {
    let program = root.join("program");
    program::compile(&source_file("c").join(source), &program, OPENSSL)?;
    for library in search::libraries(&program)? {
        let place = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(place.parent().context("the library has no folder")?)?;
        copy::file(&library, &place)?;
    }
    Ok(())
}

/// Returns an unused PID. The kernel does not reuse small PIDs soon, so it stays unused.
fn unused_pid() -> Result<u32> {
    let unused = |pid: &u32| !Path::new(&format!("/proc/{pid}")).exists();
    (2..1_000).find(unused).context("no PID below 1,000 is free")
}

fn only_child(pid: u32) -> Result<u32> {
    wait::until(&format!("the child of {pid}"), || {
        Ok(kernel::children(pid)?.first().copied())
    })
}
