//! Compares the output of each tape with the expected one. `TLSCOPE_UPDATE_EXPECTED=1` regenerates that.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result};
use support::{binary, run};

use crate::tapes::{all, named, nginx, replay, trace};

/// The tapes with expected text and archives: one of HTTP/1.1, and one with unknown fields.
const SHOWN: [&str; 2] = ["nginx", "late"];

/// Asserts that a replay prints exactly the content of the file beside the tape.
fn assert_expected(tape: &Path, extension: &str, args: &[&str]) -> Result<()> {
    let (printed, _) = replay(tape, args)?;
    let file = tape.with_extension(extension);
    if env::var_os("TLSCOPE_UPDATE_EXPECTED").is_some_and(|value| value == "1") {
        fs::write(&file, &printed)?;
    }
    let expected = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    for (number, (printed, expected)) in printed.lines().zip(expected.lines()).enumerate() {
        assert_eq!(printed, expected, "{}:{}", file.display(), number + 1);
    }
    assert_eq!(printed.len(), expected.len(), "{}", file.display());
    Ok(())
}

#[test]
fn every_tape_gives_the_expected_lines() -> Result<()> {
    for tape in all()? {
        assert_expected(&tape, "jsonl", &["-o", "json"])?;
    }
    Ok(())
}

#[test]
fn a_tape_gives_the_expected_text() -> Result<()> {
    for name in SHOWN {
        assert_expected(&named(name)?, "txt", &["-o", "text", "--utc"])?;
    }
    Ok(())
}

#[test]
fn a_tape_gives_the_expected_lines_and_access_log() -> Result<()> {
    for name in SHOWN {
        assert_expected(&named(name)?, "lines", &["-o", "line", "--utc"])?;
        assert_expected(&named(name)?, "log", &["-o", "combined", "--utc"])?;
    }
    Ok(())
}

/// Replays a tape with variables of the environment.
fn replay_with(variables: &[(&str, &str)], args: &[&str]) -> Result<String> {
    let mut command = binary::command(&["replay"])?;
    command.arg(nginx()?).args(args);
    for name in ["COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TZ"] {
        command.env_remove(name);
    }
    Ok(run::succeed(command.envs(variables.iter().copied()))?.stdout)
}

#[test]
fn times_are_local_unless_utc_is_asked_for() -> Result<()> {
    for form in ["text", "line", "combined"] {
        let utc = replay_with(&[("TZ", "UTC")], &["-o", form])?;
        assert_eq!(
            utc,
            replay_with(&[("TZ", "XXX-5:45")], &["-o", form, "--utc"])?,
            "{form}"
        );
        let local = replay_with(&[("TZ", "XXX-5:45")], &["-o", form])?;
        let offset = if form == "combined" { " +0545]" } else { ", UTC+05:45" };
        assert!(local.contains(offset) && !utc.contains(offset), "{form}: {local}");
        assert_eq!(local.lines().count(), utc.lines().count(), "{form}");
    }
    // JSON is for programs.
    let json = replay_with(&[("TZ", "XXX-5:45")], &["-o", "json"])?;
    assert_eq!(json, replay_with(&[], &["-o", "json"])?);
    Ok(())
}

#[test]
fn a_line_fits_the_columns_that_the_user_names() -> Result<()> {
    for columns in [40, 80, 133] {
        let text = replay_with(&[("COLUMNS", &columns.to_string())], &["-o", "line"])?;
        let widths: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width <= columns), "{text}");
        assert!(widths.iter().any(|width| *width + 8 > columns), "{text}");
    }
    Ok(())
}

#[test]
fn a_pipe_is_coloured_only_if_asked() -> Result<()> {
    let coloured = |variables: &[(&str, &str)], args: &[&str]| -> Result<bool> {
        Ok(replay_with(variables, args)?.contains('\u{1b}'))
    };
    for form in ["text", "line"] {
        assert!(!coloured(&[], &["-o", form])?, "{form}");
        assert!(
            coloured(&[("NO_COLOR", "1")], &["-o", form, "--color", "always"])?,
            "{form}"
        );
        assert!(coloured(&[("CLICOLOR_FORCE", "1")], &["-o", form])?, "{form}");
        assert!(
            !coloured(&[("CLICOLOR_FORCE", "1")], &["-o", form, "--color", "never"])?,
            "{form}"
        );
    }
    for form in ["json", "har", "combined"] {
        assert!(!coloured(&[], &["-o", form, "--color", "always"])?, "{form}");
    }
    Ok(())
}

#[test]
fn a_tape_gives_the_expected_archive() -> Result<()> {
    for name in SHOWN {
        assert_expected(&named(name)?, "har", &["-o", "har"])?;
    }
    Ok(())
}

#[test]
fn a_tape_gives_the_expected_hops() -> Result<()> {
    let tape = named("gateway")?;
    assert_expected(&tape, "hops.jsonl", &["--hops", "-o", "json"])?;
    assert_expected(&tape, "hops.txt", &["--hops", "-o", "text", "--utc"])
}

#[test]
fn json_is_the_default_on_a_pipe() -> Result<()> {
    let tape = nginx()?;
    assert_eq!(replay(&tape, &[])?, replay(&tape, &["-o", "json"])?);
    Ok(())
}

#[test]
fn a_second_replay_gives_the_same_output() -> Result<()> {
    for tape in all()? {
        for form in ["json", "text", "line", "combined", "har"] {
            assert_eq!(
                replay(&tape, &["-o", form])?,
                replay(&tape, &["-o", form])?,
                "{}",
                tape.display()
            );
        }
    }
    Ok(())
}

#[test]
fn no_tape_has_losses_or_halves() -> Result<()> {
    for tape in all()? {
        let trace = trace(&tape, &[])?;
        let totals = trace.totals()?;
        assert_eq!((totals.half, totals.lost_records), (0, 0), "{}", tape.display());
        assert_eq!(
            u64::try_from(trace.exchanges()?.len())?,
            totals.exchanges,
            "{}",
            tape.display()
        );
        let exchanges = trace.exchanges()?;
        let others = exchanges.iter().map(|exchange| exchange.text("/ended"));
        let others: Vec<_> = others.filter(|ended| *ended != Some("complete")).collect();
        // One of the calls is held open, and one is cancelled.
        let expected: &[_] = if tape.ends_with("grpc.tape") {
            &[None, Some("reset")]
        } else {
            &[]
        };
        assert_eq!(others, expected, "{}", tape.display());
    }
    Ok(())
}

#[test]
fn an_archive_is_one_json_object_with_every_exchange() -> Result<()> {
    let (printed, _) = replay(&nginx()?, &["-o", "har"])?;
    let archive: serde_json::Value = serde_json::from_str(&printed)?;
    let entries = archive["log"]["entries"]
        .as_array()
        .context("the archive has no entries")?;
    assert_eq!((archive["log"]["version"].as_str(), entries.len()), (Some("1.2"), 11));
    Ok(())
}
