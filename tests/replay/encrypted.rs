//! Encrypted tapes: they give the lines of the tape that was encrypted, or an error.

use std::{
    fs,
    io::Write as _,
    iter,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use age::{Encryptor, secrecy::ExposeSecret as _, x25519::Identity};
use anyhow::{Context as _, Result};
use serde_json::json;
use support::{CommandOutput, binary, run, schema};
use tempfile::TempDir;

use crate::tapes::{all, nginx, replay};

/// A folder with a key, and the tapes that are encrypted to it.
struct Folder {
    folder: TempDir,
    key: Identity,
}

impl Folder {
    fn new() -> Result<Self> {
        let new = Self {
            folder: tempfile::tempdir()?,
            key: Identity::generate(),
        };
        new.write_key("key", &new.key)?;
        Ok(new)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_key(&self, name: &str, key: &Identity) -> Result<()> {
        fs::write(
            self.path(name),
            format!("# a key\n{}\n", key.to_string().expose_secret()),
        )?;
        Ok(fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600))?)
    }

    /// Encrypts a tape, and returns the bytes.
    fn encrypt(&self, tape: &Path) -> Result<Vec<u8>> {
        let recipient = self.key.to_public();
        let recipients = iter::once(&recipient).map(|recipient| -> &dyn age::Recipient { recipient });
        let mut sealed = Vec::new();
        let mut writer = Encryptor::with_recipients(recipients)?.wrap_output(&mut sealed)?;
        writer.write_all(&fs::read(tape)?)?;
        writer.finish()?;
        Ok(sealed)
    }

    /// Writes a tape and replays it with a key.
    fn replay(&self, tape: &[u8], args: &[&str]) -> Result<CommandOutput> {
        fs::write(self.path("tape.age"), tape)?;
        let mut command = binary::command(&["replay", "-o", "json"])?;
        run::run(command.arg(self.path("tape.age")).args(args))
    }

    fn replay_with_key(&self, tape: &[u8]) -> Result<CommandOutput> {
        self.replay(tape, &["--identity", &self.path("key").display().to_string()])
    }
}

/// Asserts that a replay failed with one message that has this text, and no panic.
fn assert_fails(output: &CommandOutput, text: &str) {
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(
        output.stderr.contains(text) && !output.stderr.contains("panicked"),
        "{text}: {}",
        output.stderr
    );
}

#[test]
fn an_encrypted_tape_gives_the_same_lines_byte_for_byte() -> Result<()> {
    let folder = Folder::new()?;
    for tape in all()? {
        let plain = replay(&tape, &["-o", "json"])?;
        let output = folder.replay_with_key(&folder.encrypt(&tape)?)?;
        assert_eq!(
            (output.code, output.stderr == plain.1),
            (Some(0), true),
            "{}",
            output.stderr
        );
        assert!(output.stdout == plain.0, "{}: other lines", tape.display());
    }
    Ok(())
}

#[test]
fn an_encrypted_tape_can_come_from_stdin_and_be_counted() -> Result<()> {
    let folder = Folder::new()?;
    let key = folder.path("key").display().to_string();
    let sealed = folder.encrypt(&nginx()?)?;
    let mut command = binary::command(&["replay", "-", "-o", "json", "-i", &key])?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin is not piped")?;
    let writer = std::thread::spawn({
        let sealed = sealed.clone();
        move || stdin.write_all(&sealed)
    });
    let output = CommandOutput::from(child.wait_with_output()?);
    writer.join().ok().context("the writer panicked")??;
    assert!(
        output.stdout == replay(&nginx()?, &["-o", "json"])?.0,
        "{}",
        output.stderr
    );
    fs::write(folder.path("tape.age"), &sealed)?;
    let mut stat = binary::command(&["stat", "-o", "json", "--identity", &key, "--tape"])?;
    let counted = run::succeed(stat.arg(folder.path("tape.age")))?.stdout;
    let plain = run::succeed(binary::command(&["stat", "-o", "json", "--tape"])?.arg(nginx()?))?.stdout;
    assert!(counted == plain && counted.contains("\"type\":\"stat\""), "{counted}");
    Ok(())
}

#[test]
fn a_tape_that_cannot_be_opened_is_an_error_that_says_what_to_do() -> Result<()> {
    let folder = Folder::new()?;
    let sealed = folder.encrypt(&nginx()?)?;
    let refused = |args: &[&str], text: &str| -> Result<()> {
        let output = folder.replay(&sealed, args)?;
        assert_fails(&output, text);
        assert_eq!(
            (output.stdout.as_str(), output.stderr_lines()),
            ("", 1),
            "{}",
            output.stderr
        );
        Ok(())
    };
    refused(&[], "--identity FILE")?;
    folder.write_key("other", &Identity::generate())?;
    let other = folder.path("other").display().to_string();
    refused(&["--identity", &other], "other keys")?;
    refused(&["--identity", "/none/such"], "No such file")?;
    let key = folder.path("key").display().to_string();
    // Any of the keys opens it.
    assert_eq!(folder.replay(&sealed, &["-i", &other, "-i", &key])?.code, Some(0));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    refused(&["--identity", &key], "chmod 600")?;
    Ok(())
}

#[test]
fn whoever_opens_a_tape_is_audited_and_whoever_fails_to() -> Result<()> {
    let folder = Folder::new()?;
    let sealed = folder.encrypt(&nginx()?)?;
    let audit = folder.path("audit").display().to_string();
    folder.write_key("other", &Identity::generate())?;
    for key in ["other", "key"] {
        let key = folder.path(key).display().to_string();
        folder.replay(&sealed, &["--identity", &key, "--audit", &audit])?;
    }
    let text = fs::read_to_string(&audit)?;
    let lines = text.lines().map(schema::parse).collect::<Result<Vec<_>>>()?;
    let events: Vec<_> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["refused", "start", "end"]);
    assert!(
        lines[0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("other keys"))
    );
    assert_eq!(
        (&lines[1]["secrets"], &lines[2]["ended"]),
        (&json!("masked"), &json!("tape_ended"))
    );
    Ok(())
}

#[test]
fn a_key_can_come_from_a_pipe() -> Result<()> {
    let folder = Folder::new()?;
    fs::write(folder.path("tape.age"), folder.encrypt(&nginx()?)?)?;
    let mut bash = Command::new("bash");
    bash.args(["-c", "exec \"$0\" replay \"$1\" -o json --identity <(cat \"$2\")"]);
    bash.arg(binary::tlscope()?)
        .arg(folder.path("tape.age"))
        .arg(folder.path("key"));
    assert!(run::succeed(&mut bash)?.stdout == replay(&nginx()?, &["-o", "json"])?.0);
    Ok(())
}

#[test]
fn a_tape_that_is_cut_gives_the_lines_before_the_cut_and_an_error() -> Result<()> {
    let folder = Folder::new()?;
    let tape = nginx()?;
    let expected = replay(&tape, &["-o", "json"])?.0;
    let sealed = folder.encrypt(&tape)?;
    for part in 0..24 {
        let cut = sealed.get(..sealed.len() * part / 24).context("too short")?;
        let output = folder.replay_with_key(cut)?;
        let is_begin = cut.len() < b"age-encryption.org/v1\n".len();
        assert_fails(&output, if is_begin { "not a tape" } else { "cut short" });
        let complete = output
            .stdout
            .lines()
            .filter(|line| line.contains("\"ended\":\"complete\""));
        for line in complete {
            assert!(expected.lines().any(|other| other == line), "invented: {line}");
        }
    }
    Ok(())
}

#[test]
fn a_tape_that_was_changed_gives_an_error_and_no_other_lines() -> Result<()> {
    let folder = Folder::new()?;
    let tape = nginx()?;
    let expected = replay(&tape, &["-o", "json"])?.0;
    let sealed = folder.encrypt(&tape)?;
    for part in 0..24 {
        let mut changed = sealed.clone();
        let at = sealed.len() * part / 24;
        *changed.get_mut(at).context("too short")? ^= 1;
        let output = folder.replay_with_key(&changed)?;
        assert_fails(&output, "tape");
        let complete = output
            .stdout
            .lines()
            .filter(|line| line.contains("\"ended\":\"complete\""));
        for line in complete {
            assert!(expected.lines().any(|other| other == line), "invented: {line}");
        }
    }
    Ok(())
}
