//! The package for Debian: it is installed on a bare Debian 12, its service traces with the rights that its unit grants, and it is
//! removed without a trace.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use support::{Nginx, Tracer, bare_debian, curl, nginx::Setup, run, wait};
use tempfile::TempDir;

/// Runs a script as root of a folder, in a mount namespace with this machine's `/proc`, `/sys` and `/dev`.
fn inside(root: &Path, script: &str) -> Command {
    let mounts =
        "for folder in proc sys dev; do mount --rbind /$folder \"$0/$folder\"; done && exec chroot \"$0\" sh -c \"$1\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", mounts]).arg(root).arg(script);
    command
}

/// Returns the files of an installed system, without what the package manager notes for itself.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let found = run::succeed(Command::new("find").arg(root).args(["-xdev", "-printf", "%P\\n"]))?;
    let own = ["var/lib/dpkg", "var/log", "var/cache", "package.deb"];
    let is_own = |path: &&str| own.iter().any(|own| path.starts_with(own));
    Ok(found
        .stdout
        .lines()
        .filter(|path| !is_own(path))
        .map(PathBuf::from)
        .collect())
}

/// Returns the capabilities of the installed unit, for `setpriv`.
fn capabilities(root: &Path) -> Result<String> {
    let unit = fs::read_to_string(root.join("lib/systemd/system/tlscope.service"))?;
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = line.context("the unit sets no capabilities")?.split_whitespace();
    let names: Vec<_> = names
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    Ok(names.join(","))
}

pub(crate) fn build(folder: &TempDir) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/package");
    let built = run::succeed(run::without_package(Command::new(script).arg(folder.path())))?;
    Ok(PathBuf::from(built.stdout.trim()))
}

pub(crate) fn installed_and_removed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    run::succeed(Command::new("cp").arg("-a").arg(bare_debian()?).arg(&root))?;
    let before = files(&root)?;
    fs::copy(build(&folder)?, root.join("package.deb"))?;
    run::succeed(&mut inside(&root, "dpkg -i /package.deb"))?;
    let version = run::succeed(&mut inside(&root, "tlscope --version"))?.stdout;
    ensure!(version.starts_with("tlscope "), "{version}");
    for file in [
        "usr/share/man/man1/tlscope-agent.1.gz",
        "usr/share/bash-completion/completions/tlscope",
        "usr/share/doc/tlscope/agent.toml",
        "usr/share/doc/tlscope/policy/starter.toml",
        "usr/share/doc/tlscope/copyright",
    ] {
        ensure!(root.join(file).is_file(), "{file} is missing");
    }
    trace(&root)?;
    run::succeed(&mut inside(&root, "dpkg --purge tlscope"))?;
    let after = files(&root)?;
    assert_eq!(
        after.symmetric_difference(&before).collect::<Vec<_>>(),
        Vec::<&PathBuf>::new()
    );
    Ok(())
}

/// Runs the service as its unit does, with the example's configuration but for the port.
fn trace(root: &Path) -> Result<()> {
    let nginx = Nginx::start_with(Setup {
        workers: Some(1),
        ..Setup::default()
    })?;
    let example = fs::read_to_string(root.join("usr/share/doc/tlscope/agent.toml"))?;
    let configuration = example.replace("port = [443]", &format!("port = [{}]", nginx.port()));
    ensure!(configuration != example, "the example traces another port");
    fs::write(root.join("etc/tlscope/agent.toml"), configuration)?;
    // systemd makes it, by `LogsDirectory=`.
    fs::create_dir(root.join("var/log/tlscope"))?;
    let command = format!(
        "exec setpriv --bounding-set=-all,{} /usr/bin/tlscope agent --config /etc/tlscope/agent.toml",
        capabilities(root)?
    );
    let agent = Tracer::spawn(inside(root, &command))?;
    agent.wait_until_ready()?;
    curl::request(&[&nginx.url("/small/1")])?;
    wait::until_true("the line of the exchange", || {
        let lines = fs::read_to_string(root.join("var/log/tlscope/lines.json"))?;
        Ok(lines.contains("\"path\":\"/small/1\""))
    })?;
    let ended = agent.stop()?;
    ensure!(ended.code == Some(0), "{:?}", ended.stderr);
    Ok(())
}
