//! `tlscope doctor`: what prevents tracing is told, with what to do, and the exit code says so. What a machine cannot be
//! brought into is tested in `tracer-capture`, with folders in place of `/proc` and `/sys`.

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{run, schema};

use crate::{refused::tlscope, usage::without_privileges};

/// Runs `doctor` as an unprivileged user, and returns its exit code and its lines.
fn unprivileged(args: &[&str]) -> Result<(Option<i32>, Vec<Value>)> {
    let directory = tempfile::tempdir()?;
    let args = [&["doctor", "-o", "json"], args].concat();
    let output = run::run(&mut without_privileges(directory.path(), &args)?)?;
    assert_eq!(output.stderr, "");
    let lines: Result<Vec<_>> = output.stdout.lines().map(schema::parse).collect();
    Ok((output.code, lines?))
}

fn about<'a>(lines: &'a [Value], subject: &str) -> Result<&'a Value> {
    let mut lines = lines.iter();
    lines
        .find(|line| line["subject"] == subject)
        .context(subject.to_owned())
}

#[test]
fn missing_privileges_prevent_tracing_and_the_rest_is_examined() -> Result<()> {
    let (code, lines) = unprivileged(&[])?;
    assert_eq!(code, Some(1));
    let capabilities = about(&lines, "capabilities")?;
    assert_eq!(capabilities["state"], "prevents");
    for (member, word) in [("meaning", "CAP_SYS_ADMIN"), ("action", "root")] {
        let text = capabilities[member].as_str().unwrap_or_default();
        assert!(text.contains(word), "{capabilities}");
    }
    for subject in [
        "kernel",
        "uprobes",
        "btf",
        "lockdown",
        "perf",
        "clock",
        "open_files",
        "memory",
        "tracers",
    ] {
        let line = about(&lines, subject)?;
        assert!(
            line["pid"].is_null() && line["meaning"].as_str().is_some_and(|text| text.len() > 10),
            "{line}"
        );
    }
    // The programs cannot be loaded.
    assert!(about(&lines, "programs").is_err());
    Ok(())
}

#[test]
fn each_thing_that_is_not_fine_has_what_to_do_or_is_unknown() -> Result<()> {
    let (_, lines) = unprivileged(&["-p", "1"])?;
    for line in lines {
        let needs_action = matches!(line["state"].as_str(), Some("limited" | "prevents"));
        assert!(!needs_action || line["action"].is_string(), "{line}");
    }
    Ok(())
}

#[test]
fn a_process_that_does_not_exist_prevents_tracing() -> Result<()> {
    let (code, lines) = unprivileged(&["-p", "4294967295"])?;
    let process = about(&lines, "process")?;
    assert_eq!(code, Some(1));
    assert_eq!(
        (&process["state"], &process["pid"]),
        (&"prevents".into(), &4_294_967_295_u32.into())
    );
    assert!(
        process["meaning"]
            .as_str()
            .is_some_and(|text| text.contains("no process"))
    );
    Ok(())
}

#[test]
fn text_has_three_lines_of_what_prevents_tracing() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let output = run::run(&mut without_privileges(directory.path(), &["doctor", "-o", "text"])?)?;
    let lines: Vec<_> = output.stdout.lines().collect();
    let found = lines.iter().position(|line| line.starts_with("prevents capabilities "));
    let action = found.and_then(|at| lines.get(at + 2)).context("it is not told")?;
    assert!(action.trim().starts_with("do: "), "{action}");
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""));
    Ok(())
}

#[test]
fn the_schema_and_the_page_list_the_same_subjects_and_states() -> Result<()> {
    use tracer_capture::doctor::{State, Subject};

    let listed = |member: &str| -> Result<Vec<String>> {
        let list = schema::whole()?.pointer(&format!("/$defs/check_line/properties/{member}/enum"));
        let names = list.and_then(Value::as_array).context(member.to_owned())?;
        Ok(names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect())
    };
    assert_eq!(listed("subject")?, Subject::ALL.map(Subject::name));
    assert_eq!(listed("state")?, State::ALL.map(State::name));
    Ok(())
}

#[test]
fn doctor_needs_no_arguments_and_takes_no_file() -> Result<()> {
    let output = tlscope(&["doctor", "file"])?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    Ok(())
}
