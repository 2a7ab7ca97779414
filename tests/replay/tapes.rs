//! Finds tapes and runs `tlscope replay`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use support::{Trace, binary, run, schema};

/// Returns all tapes, ordered by name.
pub(crate) fn all() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tapes");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tape"));
    paths.sort();
    ensure!(!paths.is_empty(), "there are no tapes in {}", folder.display());
    Ok(paths)
}

/// Returns the tape with a name.
pub(crate) fn named(name: &str) -> Result<PathBuf> {
    let file = format!("{name}.tape");
    let found = all()?.into_iter().find(|path| path.ends_with(&file));
    found.with_context(|| format!("{file} is missing"))
}

/// Returns the tape of nginx, which has every kind of request.
pub(crate) fn nginx() -> Result<PathBuf> {
    named("nginx")
}

/// Replays a tape and validates its JSON lines. Returns stdout and stderr. Fails unless `tlscope` exits with 0.
pub(crate) fn replay(tape: &Path, args: &[&str]) -> Result<(String, String)> {
    let mut command = binary::command(&["replay"])?;
    let output = run::succeed(command.arg(tape).args(args))?;
    schema::check_lines(output.stdout.lines())?;
    Ok((output.stdout, output.stderr))
}

/// Replays a tape. Returns the parsed output.
pub(crate) fn trace(tape: &Path, args: &[&str]) -> Result<Trace> {
    let (stdout, stderr) = replay(tape, args)?;
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    Ok(Trace {
        code: Some(0),
        stdout: lines(&stdout),
        stderr: lines(&stderr),
    })
}
