//! Compares the output of each tape with the expected one. `TLSCOPE_UPDATE_EXPECTED=1` regenerates that.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result};

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
        assert_expected(&named(name)?, "txt", &["-o", "text"])?;
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
    assert_expected(&tape, "hops.txt", &["--hops", "-o", "text"])
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
        for form in ["json", "text", "har"] {
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
