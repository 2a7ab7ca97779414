//! Flags that select what `replay` prints, and where.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::Result;

use crate::tapes::{nginx, replay, trace};

/// The number of exchanges of the tape of nginx.
const ALL: usize = 11;

fn count(args: &[&str]) -> Result<usize> {
    Ok(trace(&nginx()?, args)?.exchanges()?.len())
}

#[test]
fn a_count_ends_the_output() -> Result<()> {
    assert_eq!(
        (count(&["-n", "1"])?, count(&["-n", "5"])?, count(&["-n", "1000"])?),
        (1, 5, ALL)
    );
    let trace = trace(&nginx()?, &["-n", "5", "--method", "GET"])?;
    assert_eq!(trace.totals()?.exchanges, 5);
    Ok(())
}

#[test]
fn verbose_prints_the_counters_of_the_decoder() -> Result<()> {
    let decoding = |args: &[&str]| -> Result<Vec<String>> {
        let trace = trace(&nginx()?, args)?;
        let counters = trace
            .stderr
            .iter()
            .filter(|line| line.starts_with("tlscope: decoding: "));
        Ok(counters.cloned().collect())
    };
    assert!(decoding(&[])?.is_empty());
    for flag in ["-v", "--verbose"] {
        let counters = decoding(&[flag, "--method", "HEAD"])?;
        let all = format!("tlscope: decoding: exchanges decoded, those that a filter hides included: {ALL}");
        assert_eq!(counters.first(), Some(&all), "{counters:?}");
        assert!(counters.iter().all(|line| !line.ends_with(": 0")), "{counters:?}");
    }
    Ok(())
}

#[test]
fn filters_select_matching_exchanges() -> Result<()> {
    let cases: [(&[&str], usize); 14] = [
        (&[], ALL),
        (&["--method", "HEAD"], 2),
        (&["--method", "HEAD", "--method", "POST"], 5),
        (&["--method", "BREW"], 0),
        (&["--status", "404"], 1),
        (&["--status", "2xx"], 9),
        (&["--status", "300-499"], 2),
        (&["--host", "localhost"], 3),
        (&["--host", "127.*"], 7),
        (&["--path", "^/hello"], 4),
        (&["--header", "cookie"], 2),
        (&["--header", "x-api-key"], 2),
        (&["--slower-than", "1h"], 0),
        (&["--method", "GET", "--status", "404"], 1),
    ];
    for (args, expected) in cases {
        assert_eq!(count(args)?, expected, "{args:?}");
    }
    Ok(())
}

#[test]
fn filters_do_not_match_secrets() -> Result<()> {
    // Otherwise a filter could be used to guess a secret.
    assert_eq!(count(&["--header", "authorization=pLanted"])?, 0);
    assert_eq!(count(&["--path", "pLanted"])?, 0);
    assert_eq!(count(&["--path", "redacted"])?, 2);
    Ok(())
}

#[test]
fn an_output_file_has_mode_0600() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("out");
    let tape = nginx()?;
    let (printed, _) = replay(&tape, &["-w", &file.display().to_string(), "-o", "json"])?;
    assert_eq!(printed, "");
    assert_eq!(fs::read_to_string(&file)?, replay(&tape, &[])?.0);
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    Ok(())
}

#[test]
fn hold_does_not_change_exchanges_that_ended_before_it() -> Result<()> {
    let tape = nginx()?;
    assert_eq!(replay(&tape, &["--hold", "1h"])?.0, replay(&tape, &["--hold", "1s"])?.0);
    Ok(())
}
