//! Small programs to trace: Python or Node.js scripts, or programs in C or Crystal compiled for the test.
//!
//! Each prints the line `up` when its TLS library is loaded, and starts its work at the first line on stdin, so that
//! the tracer can attach in between.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::{lines::Lines, run, source_file, wait};

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<Lines>,
    /// Contains the compiled program.
    _directory: Option<TempDir>,
}

impl Program {
    /// Starts a script of `support/python`.
    pub fn python(script: &str, args: &[&str]) -> Result<Self> {
        Self::start(&mut python(script, args), None)
    }

    /// Starts a script of `support/python` with a folder in `LD_LIBRARY_PATH`.
    pub fn python_with(libraries: &Path, script: &str, args: &[&str]) -> Result<Self> {
        Self::start(python(script, args).env("LD_LIBRARY_PATH", libraries), None)
    }

    /// Starts a script of `support/python` with packages of `PyPI` in place of Debian's.
    pub fn python_of(packages: &[PathBuf], script: &str, args: &[&str]) -> Result<Self> {
        let path = env::join_paths(packages)?;
        Self::start(python(script, args).env("PYTHONPATH", path), None)
    }

    /// Starts any program that follows the same protocol.
    pub fn run(command: &mut Command) -> Result<Self> {
        Self::start(command, None)
    }

    /// Starts a script of `support/node`.
    pub fn node(script: &str, args: &[&str]) -> Result<Self> {
        let mut command = Command::new("node");
        command.arg(source_file("node").join(script)).args(args);
        Self::start(&mut command, None)
    }

    /// Compiles a program of `support/c` against libssl and starts it.
    pub fn c(source: &str, args: &[&str]) -> Result<Self> {
        Self::compiled(source, OPENSSL, args)
    }

    /// Compiles a program of `support/c` against a library that is made of a file of `fixtures/elf`, and starts it.
    pub fn c_with_fixture(source: &str, fixture: &str, args: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let library = directory.path().join("libssl.so.3");
        let fixture = source_file("../../fixtures/elf").join(fixture);
        let flags = [
            "-O2",
            "-Wno-unused-parameter",
            "-shared",
            "-fPIC",
            "-Wl,-soname,libssl.so.3",
        ];
        compile(&fixture, &library, &flags)?;
        let program = directory.path().join("program");
        let folder = directory.path().display();
        let libraries = ["-rdynamic", "-fno-builtin", "-l:libssl.so.3"].map(str::to_owned);
        let folders = [format!("-L{folder}"), format!("-Wl,-rpath,{folder}")];
        let libraries: Vec<_> = folders.iter().chain(&libraries).map(String::as_str).collect();
        compile(&source_file("c").join(source), &program, &libraries)?;
        Self::start(Command::new(program).args(args), Some(directory))
    }

    /// Compiles a program of `support/c` with the code of libssl in its own image, without the names of its functions, and
    /// starts it.
    pub fn c_stripped(source: &str, args: &[&str]) -> Result<Self> {
        Self::compiled(source, STRIPPED, args)
    }

    /// Compiles a program of `support/c` with the code of libssl in its own image, whose symbols are in a file beside it, and
    /// starts it.
    pub fn c_with_debug_file(source: &str, args: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (program, symbols) = (directory.path().join("program"), directory.path().join("program.debug"));
        compile(&source_file("c").join(source), &program, ARCHIVES)?;
        run::succeed(
            Command::new("objcopy")
                .arg("--only-keep-debug")
                .args([&program, &symbols]),
        )?;
        let link = format!("--add-gnu-debuglink={}", symbols.display());
        run::succeed(Command::new("objcopy").args(["--strip-all", &link]).arg(&program))?;
        Self::start(Command::new(program).args(args), Some(directory))
    }

    /// Compiles a program of `support/c` against libgnutls and starts it.
    pub fn c_with_gnutls(source: &str, args: &[&str]) -> Result<Self> {
        Self::compiled(source, &["-lgnutls"], args)
    }

    /// Compiles a program of `support/c` with arguments of the compiler, and starts it.
    pub fn c_with(source: &str, flags: &[&str], args: &[&str]) -> Result<Self> {
        Self::compiled(source, flags, args)
    }

    /// Compiles a program of `support/c` with the code of libssl and of libgnutls in its own image, and starts it.
    pub fn c_with_both(source: &str, args: &[&str]) -> Result<Self> {
        Self::compiled(source, BOTH, args)
    }

    /// Compiles a program of `support/crystal`, which takes Crystal some twenty seconds, and starts it.
    pub fn crystal(source: &str, args: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let program = directory.path().join("program");
        let mut compiler = Command::new("crystal");
        compiler
            .args(["build", "-o"])
            .arg(&program)
            .arg(source_file("crystal").join(source));
        run::succeed(&mut compiler)?;
        Self::start(Command::new(program).args(args), Some(directory))
    }

    /// Compiles a library that holds what tlscope recognises and does not trace: that of a Java virtual machine.
    pub fn untraced_library(folder: &Path) -> Result<PathBuf> {
        let library = folder.join("libjvm.so");
        compile(&source_file("c").join("jvm.c"), &library, &["-shared", "-fPIC"])?;
        Ok(library)
    }

    fn compiled(source: &str, libraries: &[&str], args: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let program = directory.path().join("program");
        compile(&source_file("c").join(source), &program, libraries)?;
        Self::start(Command::new(program).args(args), Some(directory))
    }

    fn start(command: &mut Command, directory: Option<TempDir>) -> Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("{command:?} did not start"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().map(Lines::read));
        let program = Self {
            child,
            stdin,
            stdout,
            _directory: directory,
        };
        program.wait_for("up")?;
        Ok(program)
    }

    /// Returns its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it start its work.
    pub fn begin(&mut self) -> Result<()> {
        self.send_line("begin")
    }

    /// Writes a line to its stdin.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("stdin is closed")?;
        Ok(writeln!(stdin, "{line}")?)
    }

    /// Returns the lines that it has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.stdout.as_ref().map(Lines::snapshot).unwrap_or_default()
    }

    /// Counts the printed lines that start with `word`.
    pub fn count(&self, word: &str) -> usize {
        let stdout = self.stdout.as_ref();
        stdout.map_or(0, |stdout| stdout.count_matching(|line| line.starts_with(word)))
    }

    /// Waits until it has printed this many lines that start with `word`.
    pub fn wait_for_count(&self, word: &str, count: usize) -> Result<()> {
        let stdout = self.stdout.as_ref().context("stdout is not piped")?;
        stdout.wait_for(&format!("{count} lines `{word}`"), |lines| {
            let printed = lines.iter().filter(|line| line.starts_with(word)).count();
            (printed >= count).then_some(())
        })
    }

    /// Waits until it prints a line that starts with `word`, and returns the rest of that line.
    pub fn wait_for(&self, word: &str) -> Result<String> {
        let stdout = self.stdout.as_ref().context("stdout is not piped")?;
        let found = |lines: &[String]| {
            lines
                .iter()
                .find_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
        };
        stdout.wait_for(&format!("the line `{word}`"), found)
    }

    /// Kills it, and waits for its end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Closes its stdin and waits until it has succeeded. Returns all lines that it printed.
    pub fn finish(mut self) -> Result<Vec<String>> {
        drop(self.stdin.take());
        let status = wait::until("the end of the program", || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(self.stdout.take().map(Lines::finish).unwrap_or_default())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has usually ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn python(script: &str, args: &[&str]) -> Command {
    // Debian's Python uses the system's libssl.
    let mut command = Command::new("/usr/bin/python3");
    command.arg(source_file("python").join(script)).args(args);
    command
}

/// The linker arguments for OpenSSL.
pub(crate) const OPENSSL: &[&str] = &["-lssl", "-lcrypto"];

/// OpenSSL as archives.
const ARCHIVES: &[&str] = &["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic"];

/// OpenSSL as archives, and no symbols.
const STRIPPED: &[&str] = &["-s", "-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic"];

/// Both libraries as archives, and what libgnutls needs besides: Debian has no archives of the last two, and links to the
/// last only in a package of its own.
const BOTH: &[&str] = &[
    "-Wl,-Bstatic",
    "-lssl",
    "-lcrypto",
    "-lgnutls",
    "-lhogweed",
    "-lnettle",
    "-lgmp",
    "-ltasn1",
    "-lidn2",
    "-Wl,-Bdynamic",
    "-lp11-kit",
    "-l:libunistring.so.2",
];

pub(crate) fn compile(source: &Path, program: &Path, libraries: &[&str]) -> Result<()> {
    let mut compiler = Command::new("gcc");
    compiler
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(program)
        .arg(source)
        .arg("-Wl,--as-needed")
        .args(libraries)
        .arg("-pthread");
    run::succeed(&mut compiler).map(drop)
}
