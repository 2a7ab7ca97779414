//! What a shell, a terminal and a packager expect: completions, manual pages, the version, quiet, progress, and tapes from
//! stdin.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use support::{CommandOutput, binary, run, tmux::Tmux};

use crate::{
    refused::{assert_is_refusal, assert_refused, tlscope},
    tape,
};

const COMMANDS: [&str; 10] = [
    "trace",
    "inspect",
    "doctor",
    "record",
    "replay",
    "stat",
    "top",
    "schema",
    "completions",
    "man",
];

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() -> Result<()> {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = tlscope(&["completions", shell])?;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{shell}");
        for command in COMMANDS {
            assert!(output.stdout.contains(command), "{shell}: {command}");
        }
    }
    let output = tlscope(&["completions", "tcsh"])?;
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    Ok(())
}

#[test]
fn bash_completes_commands_and_options() -> Result<()> {
    let script = r#"
        source <("$0" completions bash)
        COMP_WORDS=(tlscope "$@") COMP_CWORD=$#
        _tlscope tlscope "${COMP_WORDS[$#]}" "${COMP_WORDS[$# - 1]}"
        echo "${COMPREPLY[@]}"
    "#;
    for (words, completed) in [
        (&["rep"][..], "replay"),
        (&["replay", "--slow"], "--slower-than"),
        (&["doctor", "-o", "js"], "json"),
    ] {
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).arg(binary::tlscope()?).args(words);
        assert_eq!(run::succeed(&mut bash)?.stdout.trim(), completed, "{words:?}");
    }
    Ok(())
}

#[test]
fn the_manual_is_printed_or_written_for_each_command() -> Result<()> {
    let page = tlscope(&["man"])?;
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(page.stdout.contains(".TH tlscope 1"), "{}", page.stdout);
    let folder = tempfile::tempdir()?;
    let path = folder.path().display().to_string();
    let written = tlscope(&["man", &path])?;
    assert_eq!(
        (written.code, written.stdout.as_str(), written.stderr.as_str()),
        (Some(0), "", "")
    );
    for command in COMMANDS {
        let page = fs::read_to_string(folder.path().join(format!("tlscope-{command}.1")))?;
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(folder.path().join("tlscope.1").exists());
    assert_refused(&["man", "/none/such"], &["/none/such"])
}

#[test]
fn the_long_version_has_the_features_and_the_commit_of_a_checkout() -> Result<()> {
    let number = format!("tlscope {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(tlscope(&["-V"])?.stdout, format!("{number}\n"));
    let long = tlscope(&["--version"])?;
    assert_eq!((long.code, long.stdout.lines().count()), (Some(0), 1));
    let rest = long.stdout.trim().strip_prefix(&number).context("no number")?;
    let inner = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let parts: Vec<_> = inner.context("no details")?.split(", ").collect();
    let features = parts.last().and_then(|part| part.strip_prefix("features: "));
    assert!(features.is_some_and(|features| features.split(' ').any(|name| name == "live")));
    // A build without git has none.
    if let [commit, _] = parts.as_slice() {
        assert!(
            commit.len() >= 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{commit}"
        );
    }
    Ok(())
}

#[test]
fn quiet_leaves_errors_only() -> Result<()> {
    let path = tape::any()?;
    let (usual, quiet) = (tlscope(&["replay", &path])?, tlscope(&["replay", &path, "-q"])?);
    assert!(usual.stderr.contains("exchanges="), "{}", usual.stderr);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    assert_eq!(quiet.stdout, usual.stdout);
    let folder = tempfile::tempdir()?;
    let cut = folder.path().join("cut.tape");
    let whole = fs::read(&path)?;
    fs::write(&cut, whole.get(..whole.len() / 2).context("the tape is too short")?)?;
    let output = tlscope(&["replay", "--quiet", &cut.display().to_string()])?;
    assert_eq!((output.code, output.stderr_lines()), (Some(1), 1), "{}", output.stderr);
    assert!(output.stderr.contains("cut short"), "{}", output.stderr);
    for args in [&["replay", &path, "-q", "-v"][..], &["stat", "--tape", &path, "-qv"]] {
        assert_eq!(tlscope(args)?.code, Some(2), "{args:?}");
    }
    Ok(())
}

/// Runs `tlscope` with a file as its stdin.
fn with_stdin(args: &[&str], path: &str) -> Result<CommandOutput> {
    let output = binary::command(args)?.stdin(File::open(path)?).output()?;
    Ok(output.into())
}

#[test]
fn a_tape_is_read_from_stdin() -> Result<()> {
    let path = tape::any()?;
    for args in [&["replay", "-o", "json"][..], &["stat", "-o", "json", "--tape"]] {
        let from_file = tlscope(&[args, &[&path]].concat())?;
        let from_stdin = with_stdin(&[args, &["-"]].concat(), &path)?;
        assert_eq!(
            (from_stdin.code, &from_stdin.stdout),
            (Some(0), &from_file.stdout),
            "{args:?}"
        );
        assert!(from_stdin.stdout.len() > 100 && from_stdin.stderr == from_file.stderr);
    }
    assert_is_refusal(
        &with_stdin(&["replay", "-"], "/dev/null")?,
        &["standard input", "not a tape"],
    );
    Ok(())
}

#[test]
fn progress_is_shown_on_a_terminal_until_a_message_takes_its_place() -> Result<()> {
    let script = format!(
        "export TERM=screen; mkfifo tape; '{}' replay - <tape >lines; echo code $?; exec sleep 600",
        binary::tlscope()?.display()
    );
    let terminal = Tmux::start(&script, 60, 10)?;
    let whole = fs::read(tape::any()?)?;
    let (first, rest) = whole.split_at(whole.len() / 2);
    let fifo = terminal.directory().join("tape");
    support::wait::until_true("the pipe", || Ok(fifo.exists()))?;
    let mut pipe = OpenOptions::new().write(true).open(&fifo)?;
    pipe.write_all(first)?;
    terminal.wait_for("the progress", |screen| {
        screen.contains("tlscope: replaying standard input: 0 MiB")
    })?;
    pipe.write_all(rest)?;
    drop(pipe);
    let screen = terminal.wait_for("the end", |screen| screen.contains("code 0"))?;
    assert!(
        !screen.contains("replaying") && screen.contains("tlscope: exchanges="),
        "{screen}"
    );
    let lines = fs::read_to_string(terminal.directory().join("lines"))?;
    assert_eq!(lines, tlscope(&["replay", &tape::any()?])?.stdout);
    Ok(())
}

#[test]
fn no_progress_is_shown_without_a_terminal() -> Result<()> {
    let whole = fs::read(tape::any()?)?;
    let mut command = binary::command(&["replay", "-"])?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env("TERM", "xterm");
    let mut child = command.spawn()?;
    child.stdin.take().context("stdin is not piped")?.write_all(&whole)?;
    let output: CommandOutput = child.wait_with_output()?.into();
    assert!(
        output.code == Some(0) && !output.stderr.contains('\r'),
        "{}",
        output.stderr
    );
    Ok(())
}
