//! The tapes, and running `tlscope replay` on them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use support::{Trace, binary, run, schema};

/// All tapes, in the order of their names.
pub(crate) fn all() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tapes");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tape"));
    paths.sort();
    ensure!(!paths.is_empty(), "there are no tapes in {}", folder.display());
    Ok(paths)
}

/// The tape of a name.
pub(crate) fn named(name: &str) -> Result<PathBuf> {
    let file = format!("{name}.tape");
    let found = all()?.into_iter().find(|path| path.ends_with(&file));
    found.with_context(|| format!("{file} is missing"))
}

/// The tape of nginx, which has every kind of request.
pub(crate) fn nginx() -> Result<PathBuf> {
    named("nginx")
}

/// Replays a tape, which must succeed; gives stdout as it is, whose lines are as the schema has them, and stderr.
pub(crate) fn replay(tape: &Path, words: &[&str]) -> Result<(String, String)> {
    let mut command = binary::command(&["replay"])?;
    let ran = run::succeed(command.arg(tape).args(words))?;
    schema::check_lines(ran.stdout.lines())?;
    Ok((ran.stdout, ran.stderr))
}

/// Replays a tape and takes its lines apart.
pub(crate) fn trace(tape: &Path, words: &[&str]) -> Result<Trace> {
    let (stdout, stderr) = replay(tape, words)?;
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    Ok(Trace {
        code: Some(0),
        stdout: lines(&stdout),
        stderr: lines(&stderr),
    })
}
