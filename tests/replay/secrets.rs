//! Secrets in tapes, and their redaction.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use support::secrets::{BASIC, MARK, find_secret};

use crate::tapes::{all, named, nginx, replay, trace};

#[test]
fn the_tapes_contain_secrets() -> Result<()> {
    // Verifies the tests below: the secrets that they search for are in the tapes. HTTP/2 compresses them, so this
    // counts them in the output.
    for tape in all()? {
        let planted = replay(&tape, &["--show-secrets"])?.0.matches(MARK).count();
        assert!(planted > 5, "{planted} in {}", tape.display());
    }
    Ok(())
}

#[test]
fn no_output_shows_a_secret() -> Result<()> {
    let rules: [&[&str]; 5] = [
        &[],
        &["--fingerprint"],
        &["--redact", "host"],
        &["--redact-pattern", "page"],
        &["--hold", "0s"],
    ];
    for tape in all()? {
        for form in ["json", "text", "line", "combined", "har", "ecs"] {
            for rule in rules {
                let (stdout, stderr) = replay(&tape, &[&["-o", form], rule].concat())?;
                assert_eq!(
                    find_secret(&stdout).or(find_secret(&stderr)),
                    None,
                    "{} {form} {rule:?}",
                    tape.display()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn expected_files_show_no_secret() -> Result<()> {
    for entry in fs::read_dir(nginx()?.parent().context("the tape has no folder")?)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| {
            ["jsonl", "txt", "lines", "log", "har"]
                .iter()
                .any(|known| extension == *known)
        }) {
            assert_eq!(find_secret(&fs::read_to_string(&path)?), None, "{}", path.display());
        }
    }
    Ok(())
}

#[test]
fn show_secrets_prints_secrets_and_a_warning() -> Result<()> {
    let (stdout, stderr) = replay(&nginx()?, &["--show-secrets"])?;
    for secret in [
        "pLanted01",
        "pLanted02",
        "pLanted04",
        "pLanted10",
        "pLanted22",
        "pLanted31",
        "pLanted36",
        BASIC,
    ] {
        assert!(stdout.contains(secret), "{secret}");
    }
    assert!(
        !stdout.contains("pLantedBody") && stderr.contains("--show-secrets"),
        "{stderr}"
    );
    Ok(())
}

#[test]
fn redact_options_apply_even_with_show_secrets() -> Result<()> {
    let args = [
        "--show-secrets",
        "--redact",
        "x-api-*",
        "--redact-pattern",
        "pLanted0[1-3]",
    ];
    let (stdout, _) = replay(&nginx()?, &args)?;
    for secret in ["pLanted01", "pLanted02", "pLanted03", "pLanted04"] {
        assert!(!stdout.contains(secret), "{secret}");
    }
    assert!(stdout.contains("pLanted31"));
    Ok(())
}

#[test]
fn equal_credentials_have_equal_fingerprints() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let key = directory.path().join("key");
    fs::write(&key, [7; 32])?;
    let with_key = format!("--fingerprint={}", key.display());
    let python = named("python")?;
    let tokens = |args: &[&str]| -> Result<BTreeSet<String>> {
        let exchanges = trace(&python, args)?.exchanges()?;
        Ok(exchanges
            .iter()
            .filter_map(|one| one.request_header("x-auth-token"))
            .map(str::to_owned)
            .collect())
    };
    // Five requests have one token. The same key gives the same fingerprint, another key does not.
    let first = tokens(&[&with_key])?;
    assert_eq!((first.len(), first == tokens(&[&with_key])?), (1, true));
    assert!(first.iter().all(|token| token.starts_with("[redacted:")), "{first:?}");
    assert_ne!(first, tokens(&["--fingerprint"])?);
    Ok(())
}
