//! Audit lines of starts that fail, and of replays, in the log of the system and in files.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{binary, copy, run, schema};

/// Returns a process that has ended, and whose id no other one has yet.
fn ended() -> Result<Child> {
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    Ok(child)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_trace_of_no_process_has_a_line_with_the_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let audit = folder.path().join("audit");
    let tape = folder.path().join("tape").display().to_string();
    let pid = ended()?.id().to_string();
    for args in [&["trace", "-o", "json"][..], &["record", "-w", &tape], &["stat"]] {
        let plain = run::run(binary::command(args)?.args(["-p", &pid]))?;
        let output = run::run(binary::command(args)?.args(["-p", &pid, "--audit"]).arg(&audit))?;
        assert_eq!(
            (output.code, &output.stdout, &output.stderr),
            (Some(1), &plain.stdout, &plain.stderr)
        );
        let line = schema::parse(fs::read_to_string(&audit)?.trim_end())?;
        assert_eq!(
            (&line["event"], &line["selection"]),
            (&json!("refused"), &json!([["pid", pid]]))
        );
        let reason = line["reason"].as_str().context("no reason")?;
        assert!(output.stderr.contains(reason), "{reason}: {}", output.stderr);
        fs::remove_file(&audit)?;
    }
    Ok(())
}

/// Runs a command in a mount namespace where a socket of its own is that of the journal. Returns the lines that it got.
fn lines_of_journal(args: &[&str]) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("journal");
    let listener = UnixDatagram::bind(&own)?;
    listener.set_read_timeout(Some(Duration::from_millis(200)))?;
    // The command may be anywhere, also below /run.
    let program = folder.path().join("tlscope");
    copy::file(binary::tlscope()?, &program)?;
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket \
                  && mount --bind \"$1\" /run/systemd/journal/socket && shift && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(&program)
        .arg(&own)
        .args(args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let (mut lines, mut message) = (Vec::new(), vec![0; 65_536]);
    while let Ok(length) = listener.recv(&mut message) {
        let text = String::from_utf8(message.get(..length).context("too long")?.to_vec())?;
        let (fields, json) = text.split_once("MESSAGE={").context("no JSON")?;
        let line = schema::parse(format!("{{{json}").trim_end())?;
        let event = line["event"].as_str().context("no event")?;
        assert!(fields.contains(&format!("TLSCOPE_EVENT={event}\n")), "{fields}");
        lines.push(line);
    }
    Ok(lines)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn the_log_of_the_system_has_what_is_refused_and_the_replays_that_show_secrets() -> Result<()> {
    let pid = ended()?.id().to_string();
    let tape = format!("{}/../fixtures/tapes/nginx.tape", env!("CARGO_MANIFEST_DIR"));
    let events = |args: &[&str]| -> Result<Vec<String>> {
        let lines = lines_of_journal(args)?;
        Ok(lines
            .iter()
            .filter_map(|line| line["event"].as_str().map(str::to_owned))
            .collect())
    };
    assert_eq!(events(&["trace", "-p", &pid])?, ["refused"]);
    assert_eq!(events(&["replay", &tape, "--show-secrets"])?, ["start", "end"]);
    assert_eq!(events(&["stat", "--tape", &tape, "--show-secrets"])?, ["start", "end"]);
    // A key that a tape without encryption does not need.
    assert_eq!(
        events(&["replay", &tape, "--identity", "/none/such"])?,
        ["start", "end"]
    );
    assert_eq!(events(&["replay", "/none/such", "--show-secrets"])?, ["refused"]);
    // What is masked in a tape that anybody with its file can read is nobody's business.
    assert!(events(&["replay", &tape])?.is_empty());
    Ok(())
}
