//! The `tlscope` binary, built once per test process, so that it is up to date.
//!
//! `TLSCOPE_BIN` overrides it, for example with a release build.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::run;

/// Returns the path of the binary.
pub fn tlscope() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| find_or_build().map_err(|error| format!("{error:#}")));
    found
        .as_deref()
        .map_err(|error| anyhow!("cannot build tlscope: {error}"))
}

/// Makes the command `tlscope` with arguments.
pub fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(tlscope()?);
    command.args(args);
    Ok(command)
}

/// Makes the same command in a mount namespace where `/sys/kernel/btf` is empty, as on a kernel without BTF.
pub fn command_without_btf(args: &[&str]) -> Result<Command> {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script]).arg(tlscope()?).args(args);
    Ok(command)
}

/// Makes the same command in a mount namespace where a file replaces `/sys/devices/system/cpu/NAME`, which lists CPUs.
pub fn command_with_cpus(name: &str, file: &Path, args: &[&str]) -> Result<Command> {
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$1\" \"/sys/devices/system/cpu/$2\" && shift 2 && exec \"$0\" \"$@\"";
    command.args(["--mount", "sh", "-c", script]);
    command.arg(tlscope()?).arg(file).arg(name).args(args);
    Ok(command)
}

/// Makes the same command with these capabilities alone, by their names without `CAP_` in small letters.
pub fn command_with_capabilities(capabilities: &[&String], args: &[&str]) -> Result<Command> {
    let kept: Vec<_> = capabilities.iter().map(|name| format!("+{name}")).collect();
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set=-all,{}", kept.join(",")));
    command.arg(tlscope()?).args(args);
    Ok(command)
}

fn find_or_build() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TLSCOPE_BIN").map(PathBuf::from) {
        ensure!(
            named.is_file(),
            "TLSCOPE_BIN is {}, which is not a file",
            named.display()
        );
        return Ok(named);
    }
    // A test runs as TARGET/PROFILE/deps/NAME.
    let own = env::current_exe()?;
    let built = own
        .parent()
        .and_then(Path::parent)
        .context("the test is not in a target folder")?;
    let target = built.parent().context("the test is not in a target folder")?;
    build(target, built.ends_with("release"))?;
    Ok(built.join("tlscope"))
}

fn build(target: &Path, release: bool) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "-p", "tracer", "--bin", "tlscope"]);
    cargo.arg("--target-dir").arg(target);
    if release {
        cargo.arg("--release");
    }
    run::succeed(run::without_package(&mut cargo)).map(drop)
}
