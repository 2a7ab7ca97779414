//! Audit lines of starts that fail before anything is attached.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{run, schema};

use crate::{
    refused::{assert_is_refusal, tlscope},
    usage::without_privileges,
};

#[test]
fn an_audit_that_cannot_be_written_keeps_a_trace_from_beginning() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (tape, missing) = (folder.path().join("tape"), folder.path().join("none/audit"));
    let (tape, missing) = (tape.display().to_string(), missing.display().to_string());
    for audit in [missing.as_str(), "/", "/dev/full"] {
        for args in [
            &["trace", "--all", "--audit", audit][..],
            &["record", "--all", "-w", &tape, "--audit", audit],
            &["stat", "--all", "--audit", audit],
        ] {
            let output = tlscope(args)?;
            assert_eq!(
                (output.code, output.stdout.as_str()),
                (Some(1), ""),
                "{}",
                output.stderr
            );
            assert!(
                output.stderr.contains("--audit") && output.stderr.contains(audit),
                "{}",
                output.stderr
            );
            assert!(!folder.path().join("tape").exists());
        }
    }
    Ok(())
}

/// Parses the one line of a file, which is of a start that failed.
fn refused(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file)?;
    let lines = text.lines().map(schema::parse).collect::<Result<Vec<_>>>()?;
    let [line] = &lines[..] else {
        anyhow::bail!("{text}");
    };
    assert_eq!(line["event"], "refused", "{line}");
    assert!(line.get("ended").is_none() && line.get("processes").is_none(), "{line}");
    Ok(line.clone())
}

#[test]
fn a_trace_that_is_not_permitted_has_a_line_and_fails_as_without_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shared = folder.path().join("shared");
    fs::create_dir(&shared)?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777))?;
    let [tape, audit] = ["tape", "audit"].map(|name| shared.join(name).display().to_string());
    for args in [
        &["trace", "-p", "1", "--header", "authorization=hunter2"][..],
        &["record", "-p", "1", "-w", &tape],
        &["stat", "-p", "1"],
    ] {
        let plain = run::run(&mut without_privileges(folder.path(), args)?)?;
        let mut command = without_privileges(folder.path(), args)?;
        let output = run::run(command.args(["--audit", &audit]))?;
        assert_is_refusal(&output, &["root"]);
        assert_eq!(output.stderr, plain.stderr);
        let line = refused(Path::new(&audit))?;
        assert_eq!(
            (&line["command"], &line["selection"]),
            (&json!(args[0]), &json!([["pid", "1"]]))
        );
        let reason = line["reason"].as_str().context("no reason")?;
        assert!(reason.contains("root") && output.stderr.contains(reason), "{reason}");
        assert!(!line.to_string().contains("hunter2"), "{line}");
        fs::remove_file(&audit)?;
    }
    assert!(!shared.join("tape").exists());
    Ok(())
}

#[test]
fn an_audit_that_cannot_be_written_is_told_to_the_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [audit, missing] = ["audit", "none/audit"].map(|name| folder.path().join(name).display().to_string());
    let output = tlscope(&["trace", "--all", "--audit", &missing, "--audit", &audit])?;
    assert_is_refusal(&output, &["--audit", &missing]);
    let line = refused(Path::new(&audit))?;
    let reason = line["reason"].as_str().context("no reason")?;
    assert!(output.stderr.contains(reason), "{reason}");
    Ok(())
}
