//! Programs and libraries of the system, by name.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::run;

/// The absolute path of a program that the shell would find by its name.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").context("there is a PATH")?;
    let found = env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("there is no program {name}"))
}

/// The libraries that a program or library loads when it starts, with absolute paths.
pub fn libraries(file: &Path) -> Result<Vec<PathBuf>> {
    let ran = run::succeed(Command::new("ldd").arg(file))?;
    let absolute = ran.stdout.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(absolute.map(PathBuf::from).collect())
}
