//! `tlscope replay` with other files, truncated tapes, a closed stdout, and an output file.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use support::{binary, run};

use crate::refused::{assert_is_refusal, assert_refused, tlscope};

/// Returns the path of a tape.
pub(crate) fn any() -> Result<String> {
    Ok(path().to_str().context("the path is not UTF-8")?.to_owned())
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tapes/nginx.tape")
}

#[test]
fn what_is_not_a_tape_is_refused() -> Result<()> {
    assert_refused(&["replay", "/none/such.tape"], &["/none/such.tape"])?;
    assert_refused(&["replay", "/"], &["/"])?;
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display().to_string();
    for content in ["", "TLS", "{\"v\":1}\n"] {
        fs::write(&path, content)?;
        assert_refused(&["replay", &path], &[&path, "not a tape"])?;
    }
    Ok(())
}

#[test]
fn a_tape_of_another_version_is_refused() -> Result<()> {
    let mut bytes = fs::read(path())?;
    *bytes.get_mut(8).context("the tape has no version")? = 99;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), bytes)?;
    let path = file.path().display().to_string();
    assert_refused(&["replay", &path], &[&path, "version 99"])
}

#[test]
fn a_truncated_tape_is_replayed_up_to_the_cut_with_an_error() -> Result<()> {
    let whole = fs::read(path())?;
    let expected = tlscope(&["replay", &any()?])?.stdout;
    let directory = tempfile::tempdir()?;
    let cut = directory.path().join("cut.tape");
    let name = cut.display().to_string();
    for part in 1..20 {
        fs::write(
            &cut,
            whole.get(..whole.len() * part / 20).context("the tape is too short")?,
        )?;
        let output = tlscope(&["replay", &name])?;
        assert_eq!(output.code, Some(1));
        let printed = output
            .stderr
            .lines()
            .filter(|line| line.contains(&name) && line.contains("cut short"));
        assert_eq!(printed.count(), 1, "{}", output.stderr);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        let whole_lines = output
            .stdout
            .lines()
            .filter(|line| line.contains("\"ended\":\"complete\""));
        for line in whole_lines {
            assert!(expected.lines().any(|other| other == line), "invented: {line}");
        }
    }
    Ok(())
}

#[test]
fn a_truncated_header_is_refused_in_one_line() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(
        file.path(),
        fs::read(path())?.get(..40).context("the tape is too short")?,
    )?;
    let path = file.path().display().to_string();
    assert_is_refusal(&tlscope(&["replay", &path])?, &[&path, "cut short"]);
    Ok(())
}

#[test]
fn a_closed_stdout_ends_the_replay_quietly() -> Result<()> {
    // Only bash has the exit code of the first command of a pipeline.
    let mut shell = Command::new("bash");
    shell
        .args(["-c", "\"$0\" replay \"$1\" | head -n 1; exit \"${PIPESTATUS[0]}\""])
        .arg(binary::tlscope()?)
        .arg(path());
    let output = run::run(&mut shell)?;
    assert_eq!((output.code, output.stdout.lines().count()), (Some(0), 1));
    assert!(
        output.stderr_lines() <= 1 && !output.stderr.contains("panicked"),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn an_existing_output_file_gets_mode_0600() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out.json");
    fs::write(&out, "old\n")?;
    fs::set_permissions(&out, fs::Permissions::from_mode(0o644))?;
    let name = out.to_str().context("the path is not UTF-8")?;
    let output = tlscope(&["replay", &any()?, "-o", "json", "-w", name])?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    let written = fs::read_to_string(&out)?;
    assert_eq!(fs::metadata(&out)?.permissions().mode() & 0o777, 0o600);
    assert!(written.starts_with("{\"v\":1,"), "{written}");
    Ok(())
}
