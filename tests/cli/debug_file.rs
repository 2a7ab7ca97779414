//! Programs whose symbols lie in a file of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use support::{CommandOutput, binary, loopback, run, wait};

use crate::refused::{assert_is_refusal, tlscope};

/// What `inspect` prints of a function that such a file names.
const FOUND: &str = r#""found":"a debug file""#;

/// A stripped program with a TLS library in it, and the file with its symbols in another folder.
struct Split {
    folder: tempfile::TempDir,
    program: String,
    symbols: PathBuf,
}

impl Split {
    fn build() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (program, elsewhere) = (folder.path().join("gateway"), folder.path().join("elsewhere"));
        let symbols = elsewhere.join("gateway.debug");
        fs::create_dir(elsewhere)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/elf/tls.c");
        let options = ["-O2", "-g", "-DMAIN", "-Wl,--build-id=sha1", "-o"];
        run::succeed(Command::new("gcc").args(options).arg(&program).arg(source))?;
        run::succeed(
            Command::new("objcopy")
                .arg("--only-keep-debug")
                .args([&program, &symbols]),
        )?;
        let link = format!("--add-gnu-debuglink={}", symbols.display());
        run::succeed(Command::new("objcopy").args(["--strip-all", &link]).arg(&program))?;
        Ok(Self {
            program: program.display().to_string(),
            folder,
            symbols,
        })
    }

    fn inspect(&self) -> Result<CommandOutput> {
        tlscope(&["inspect", &self.program])
    }

    fn build_id(&self) -> Result<String> {
        let link = symbolizer::debug_link(&fs::read(&self.program)?)?;
        link.and_then(|link| link.id_in_hex())
            .context("it has a build identifier")
    }
}

/// A server of debug files.
struct Server(Child);

impl Server {
    /// Starts one that serves what is in a folder.
    fn start(folder: &Path, port: u16) -> Result<Self> {
        let port = port.to_string();
        let mut server = Command::new("debuginfod");
        server.args(["-d", ":memory:", "-p", &port, "-F"]).arg(folder);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(server.spawn().context("debuginfod did not start")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_stripped_program_is_inspected_with_the_file_beside_it() -> Result<()> {
    let split = Split::build()?;
    assert_is_refusal(&split.inspect()?, &["stripped of the names", "debug file"]);
    fs::copy(&split.symbols, split.folder.path().join("gateway.debug"))?;
    let found = split.inspect()?;
    assert_eq!((found.code, found.stderr.as_str()), (Some(0), ""));
    assert!(found.stdout.contains(FOUND), "{}", found.stdout);
    Ok(())
}

#[test]
fn a_server_is_asked_for_the_file_on_request() -> Result<()> {
    let split = Split::build()?;
    let (id, cache, port) = (
        split.build_id()?,
        split.folder.path().join("cache"),
        loopback::free_port()?,
    );
    let _server = Server::start(split.symbols.parent().context("it lies in a folder")?, port)?;
    let url = format!("http://127.0.0.1:{port}");
    let file = format!("{url}/buildid/{id}/debuginfo");
    wait::until_true("the server knows the file", || {
        let answer = run::run(Command::new("curl").args(["-s", "-f", "-o", "/dev/null", &file]))?;
        Ok(answer.code == Some(0))
    })?;
    let inspect = |options: &[&str], servers: &str| {
        let mut command = binary::command(&[&["inspect", &split.program], options].concat())?;
        run::run(
            command
                .env("DEBUGINFOD_URLS", servers)
                .env("DEBUGINFOD_CACHE_PATH", &cache),
        )
    };
    assert_is_refusal(&inspect(&[], &url)?, &["stripped of the names"]);
    assert!(!cache.exists(), "nothing was asked for");
    let found = inspect(&["--debuginfod"], &url)?;
    assert!(found.stdout.contains(FOUND), "{found:?}");
    // No server is an error of usage.
    let without = inspect(&["--debuginfod"], "")?;
    assert_eq!(without.code, Some(2));
    assert!(
        without.stderr.contains("DEBUGINFOD_URLS names no server"),
        "{without:?}"
    );
    Ok(())
}
