//! A program in a mount and a PID namespace of its own, in a root of its own: what a container is.
//!
//! In: a C program's source. Out: the program, which has loaded libraries that no other process can name, under a
//! process id that means nothing outside.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    copy, kernel,
    program::{self, OPENSSL, Program},
    search, source_file, wait,
};

/// Makes process ids pass until the next one is `$0`; then the program of the root `$1` gets it.
const SCRIPT: &str = r#"
    last=1
    while [ "$last" -lt "$(($0 - 1))" ]; do true & last=$!; wait; done
    root=$1; shift
    chroot "$root" /program "$@"
    exit $?
"#;

/// A running program, and the files it knows.
#[derive(Debug)]
pub struct Jailed {
    program: Program,
    outer: u32,
    inner: u32,
    _root: TempDir,
}

impl Jailed {
    /// Compiles a program of `support/c` into a root of its own and starts it there.
    pub fn c(source: &str, words: &[&str]) -> Result<Self> {
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
        command.arg(inner.to_string()).arg(root.path()).args(words);
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

    /// The program, whose own process id is that of what started it.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Its process id, as it is known outside.
    pub const fn outer(&self) -> u32 {
        self.outer
    }

    /// Its process id, as it is known inside; no process has it outside.
    pub const fn inner(&self) -> u32 {
        self.inner
    }

    /// Closes its stdin and waits until it has succeeded.
    pub fn finish(self) -> Result<()> {
        self.program.finish().map(drop)
    }
}

/// A program, and the libraries it loads, each at its own place.
fn fill(root: &Path, source: &str) -> Result<()> {
    let program = root.join("program");
    program::compile(&source_file("c").join(source), &program, OPENSSL)?;
    for library in search::libraries(&program)? {
        let place = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(place.parent().context("a library lies in a folder")?)?;
        copy::file(&library, &place)?;
    }
    Ok(())
}

/// The kernel hands out small numbers once, so that one that is not used now stays so.
fn unused_pid() -> Result<u32> {
    let unused = |pid: &u32| !Path::new(&format!("/proc/{pid}")).exists();
    (2..1_000).find(unused).context("a small process id is not used")
}

fn only_child(pid: u32) -> Result<u32> {
    wait::until(&format!("the child of {pid}"), || {
        Ok(kernel::children(pid)?.first().copied())
    })
}
