//! The capabilities that the unit of the service grants: with them everything works, and without any one of them something is
//! missing, and a message names it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use anyhow::{Context as _, Result, ensure};
use support::{Nginx, Tracer, binary, curl, nginx::Setup, run, search};
use tempfile::TempDir;

/// The number of a user that nobody has.
const OTHER_USER: u32 = 54_321;

/// Returns the capabilities of the unit by their names for `setpriv`, as far as they are needed since Linux 6.10.
fn granted() -> Result<Vec<String>> {
    let unit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tracer/packaging/tlscope.service");
    let unit = fs::read_to_string(unit)?;
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = line.context("the unit sets no capabilities")?.split_whitespace();
    Ok(names
        .map(|name| name.trim_start_matches("CAP_").to_lowercase())
        .filter(|name| name != "sys_admin")
        .collect())
}

/// A gateway whose program is in a folder that only its owner may read.
fn private_nginx() -> Result<(TempDir, Nginx)> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("nginx");
    fs::copy(search::program("nginx")?, &program)?;
    let nginx = Nginx::start_with(Setup {
        program: Some(&program),
        workers: Some(1),
        ..Setup::default()
    })?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
    chown(folder.path(), Some(OTHER_USER), Some(OTHER_USER))?;
    Ok((folder, nginx))
}

/// Traces one request of nginx with these capabilities, and returns what the tracer said.
fn trace_one(nginx: &Nginx, capabilities: &[&String]) -> Result<Vec<String>> {
    let args = ["trace", "-p", &nginx.master().to_string(), "--no-plaintext"];
    let tracer = Tracer::with_capabilities(capabilities, &args)?;
    curl::request(&[&nginx.url("/small/1")])?;
    tracer.wait_for_lines(1)?;
    Ok(tracer.stop()?.stderr.clone())
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn each_capability_of_the_unit_is_enough_with_the_others_and_is_needed() -> Result<()> {
    let (_folder, nginx) = private_nginx()?;
    let all = granted()?;
    let warns = |stderr: &[String], text: &str| stderr.iter().any(|line| line.contains(text));
    let messages = trace_one(&nginx, &all.iter().collect::<Vec<_>>())?;
    for text in ["CAP_", "privilege", "denied"] {
        ensure!(!warns(&messages, text), "{messages:?}");
    }
    for lacking in &all {
        let others: Vec<_> = all.iter().filter(|other| *other != lacking).collect();
        let named = format!("CAP_{}", lacking.to_uppercase());
        if ["dac_read_search", "sys_nice"].contains(&lacking.as_str()) {
            let messages = trace_one(&nginx, &others)?;
            ensure!(warns(&messages, &named), "without {lacking}: {messages:?}");
            continue;
        }
        let args = ["trace", "-p", &nginx.master().to_string()];
        let refused = run::run(&mut binary::command_with_capabilities(&others, &args)?)?;
        assert_eq!(refused.code, Some(1), "without {lacking}: {}", refused.stderr);
        ensure!(refused.stderr.contains(&named), "without {lacking}: {}", refused.stderr);
    }
    Ok(())
}
