//! Finds programs and libraries of the system.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::run;

/// Returns the absolute path of a program in `PATH`.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").context("PATH is not set")?;
    let found = env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not in PATH"))
}

/// Returns the absolute paths of the libraries that a program or library links.
pub fn libraries(file: &Path) -> Result<Vec<PathBuf>> {
    let output = run::succeed(Command::new("ldd").arg(file))?;
    let absolute = output.stdout.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(absolute.map(PathBuf::from).collect())
}
