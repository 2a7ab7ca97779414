//! Tells the binary its commit and features, for `--version`.
//!
//! `TLSCOPE_COMMIT` names the commit where there is no git, as in the tree of a package; empty, it says that there is none.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TLSCOPE_COMMIT");
    let commit = env::var("TLSCOPE_COMMIT").ok().or_else(commit_of_git);
    let commit = commit
        .filter(|commit| !commit.is_empty())
        .map(|commit| format!("{commit}, "));
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!(
        "cargo:rustc-env=TLSCOPE_LONG_VERSION={version} ({}features: {})",
        commit.unwrap_or_default(),
        features().join(" ")
    );
}

/// Returns the features of this build that a user chose.
fn features() -> Vec<String> {
    let names = env::vars().filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut names: Vec<_> = names
        .filter(|name| name != "default")
        .map(|name| name.replace('_', "-"))
        .collect();
    names.sort();
    if names.is_empty() {
        names.push("none".to_owned());
    }
    names
}

/// Returns the commit of the checkout, if this package is in one of its own and not in another project's.
fn commit_of_git() -> Option<String> {
    if git(&["rev-parse", "--show-cdup"])? != "../" {
        return None;
    }
    // Its last line changes with each commit, and each checkout of another one.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
