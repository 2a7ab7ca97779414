//! Audit lines of replays: who looked at which tape, how that ended, and without a secret.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use support::{CommandOutput, binary, run, schema, secrets::find_secret};
use tempfile::TempDir;

use crate::tapes::{nginx, replay, trace};

/// A folder for a file of audit lines.
struct Folder(TempDir);

impl Folder {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn audit(&self) -> PathBuf {
        self.0.path().join("audit")
    }

    /// Runs a command whose audit lines go to the file.
    fn run(&self, args: &[&str]) -> Result<CommandOutput> {
        run::run(binary::command(args)?.arg("--audit").arg(self.audit()))
    }

    /// Returns the lines of the file, which is left without them.
    fn take_lines(&self) -> Result<Vec<Value>> {
        let lines = fs::read_to_string(self.audit())?.lines().map(schema::parse).collect();
        fs::remove_file(self.audit())?;
        lines
    }
}

/// Returns how a replay ended, after checking that its lines belong together.
fn ended(lines: &[Value]) -> Result<&str> {
    let [start, end] = lines else {
        anyhow::bail!("{lines:?}");
    };
    assert_eq!((&start["event"], &end["event"]), (&json!("start"), &json!("end")));
    assert_eq!((&start["run"], &start["selection"]), (&end["run"], &end["selection"]));
    end["ended"].as_str().context("it did not end")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_replay_says_which_tape_and_how_it_ended_and_prints_the_same() -> Result<()> {
    let (folder, tape) = (Folder::new()?, nginx()?);
    let exchanges = trace(&tape, &[])?.exchanges()?.len();
    let args = ["replay", &text(&tape), "-o", "json", "--show-secrets"];
    let plain = run::run(&mut binary::command(&args)?)?;
    let output = folder.run(&args)?;
    assert_eq!(
        (output.code, &output.stdout, &output.stderr),
        (Some(0), &plain.stdout, &plain.stderr)
    );
    let lines = folder.take_lines()?;
    assert_eq!(ended(&lines)?, "tape_ended");
    let [start, end] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&start["command"], &start["secrets"], &start["selection"]),
        (&json!("replay"), &json!("shown"), &json!([["tape", text(&tape)]]))
    );
    assert_eq!(start["processes"][0]["name"], "nginx");
    assert_eq!(
        (&end["exchanges"], &end["lost_records"]),
        (&json!(exchanges), &json!(0))
    );
    assert!(end.get("processes_traced").is_none() && end.get("processes").is_none());
    Ok(())
}

#[test]
fn every_way_to_end_is_told() -> Result<()> {
    let (folder, tape) = (Folder::new()?, nginx()?);
    folder.run(&["replay", &text(&tape), "-n", "2"])?;
    let lines = folder.take_lines()?;
    assert_eq!((ended(&lines)?, &lines[1]["exchanges"]), ("count", &json!(2)));
    assert_eq!(lines[0]["filters"], json!([["count", "2"]]));
    folder.run(&["stat", "--tape", &text(&tape)])?;
    let lines = folder.take_lines()?;
    assert_eq!((ended(&lines)?, &lines[0]["command"]), ("tape_ended", &json!("stat")));
    let (reader, closed) = std::io::pipe()?;
    drop(reader);
    let mut command = binary::command(&["replay", &text(&tape), "-o", "json", "--audit", &text(&folder.audit())])?;
    assert!(command.stdout(closed).stderr(Stdio::null()).status()?.success());
    assert_eq!(ended(&folder.take_lines()?)?, "output_closed");
    let bytes = fs::read(&tape)?;
    let cut = folder.0.path().join("cut.tape");
    fs::write(&cut, bytes.get(..bytes.len() * 3 / 4).context("too short")?)?;
    let output = folder.run(&["replay", &text(&cut)])?;
    assert_eq!((output.code, ended(&folder.take_lines()?)?), (Some(1), "error"));
    Ok(())
}

#[test]
fn what_is_not_replayed_is_refused_and_fails_as_without_an_audit() -> Result<()> {
    let folder = Folder::new()?;
    let [other, written] = ["other", "out.json"].map(|name| folder.0.path().join(name));
    fs::write(&other, "no tape")?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for (args, reason) in [
        (&["replay", "/none/such"][..], "No such file"),
        (&["replay", &text(&other), "-w", &text(&written)], "not a tape"),
        (&["stat", "--tape", &text(&other)], "not a tape"),
        (&["replay", &text(&nginx()?), "--metrics", &address], "in use"),
    ] {
        let plain = run::run(&mut binary::command(args)?)?;
        let output = folder.run(args)?;
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{args:?}");
        assert_eq!(output.stderr, plain.stderr, "{args:?}");
        let lines = folder.take_lines()?;
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(line["event"], "refused", "{line}");
        let told = line["reason"].as_str().context("no reason")?;
        assert!(told.contains(reason) && output.stderr.contains(told), "{told}");
        assert!(line.get("ended").is_none() && line.get("processes").is_none());
    }
    assert!(!written.exists());
    Ok(())
}

#[test]
fn no_line_has_a_secret_of_an_option() -> Result<()> {
    let folder = Folder::new()?;
    let secretive = [
        "--header",
        "authorization: Bearer pLanted01",
        "--path=^/x\\?access_token=pLanted02",
        "--otlp=http://127.0.0.1:9/pLanted03",
        "--otlp-header",
        "authorization=Bearer pLanted04",
        "--redact-pattern=pLanted05",
        "--fingerprint=/none/such?token=pLanted06",
    ];
    let output = folder.run(&[&["replay", &text(&nginx()?)], &secretive[..]].concat())?;
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    let lines = folder.take_lines()?;
    assert_eq!(lines[0]["event"], "refused");
    let reason = lines[0]["reason"].as_str().context("no reason")?;
    assert!(reason.contains("token=[redacted]"), "{reason}");
    assert_eq!(find_secret(&lines[0].to_string()), None);
    Ok(())
}

#[test]
fn the_output_can_have_the_lines_and_each_format_stays_whole() -> Result<()> {
    let tape = nginx()?;
    let (stdout, _) = replay(&tape, &["-o", "json", "--audit", "output"])?;
    let lines: Vec<_> = stdout.lines().collect();
    let events = [lines.first(), lines.last()].map(|line| line.map(|line| schema::parse(line)));
    let events = events.map(|line| Some(line?.ok()?["event"].clone()));
    assert_eq!(events, ["start", "end"].map(|event| Some(json!(event))));
    let (plain, _) = replay(&tape, &["-o", "json"])?;
    let rest = lines.get(1..lines.len() - 1).context("too few lines")?;
    assert_eq!(rest, plain.lines().collect::<Vec<_>>());
    for form in ["har", "combined"] {
        let args = ["replay", &text(&tape), "-o", form];
        let plain = run::succeed(&mut binary::command(&args)?)?.stdout;
        let audited = run::succeed(binary::command(&args)?.args(["--audit", "output"]))?.stdout;
        assert!(audited == plain, "{form}");
    }
    Ok(())
}

#[test]
fn an_audit_that_cannot_be_written_keeps_a_replay_from_beginning() -> Result<()> {
    let folder = Folder::new()?;
    let output = folder.run(&["replay", &text(&nginx()?), "--audit", "/none/such/audit"])?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("--audit: /none/such/audit"), "{}", output.stderr);
    // The other destination still gets its lines.
    let lines = folder.take_lines()?;
    assert_eq!((lines.len(), &lines[0]["event"]), (1, &json!("refused")));
    let reason = lines[0]["reason"].as_str().context("no reason")?;
    assert!(output.stderr.contains(reason), "{reason}");
    Ok(())
}
