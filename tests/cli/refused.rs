//! Errors: exit code 1, one line on stderr, and nothing on stdout.

use anyhow::Result;
use support::{CommandOutput, binary, run, schema};

/// Runs `tlscope`, and validates its JSON lines.
pub(crate) fn tlscope(args: &[&str]) -> Result<CommandOutput> {
    let output = run::run(&mut binary::command(args)?)?;
    schema::check_lines(output.stdout.lines())?;
    Ok(output)
}

/// Asserts that `tlscope` exits with 1, prints nothing on stdout, and prints one line on stderr that contains `texts`.
pub(crate) fn assert_refused(args: &[&str], texts: &[&str]) -> Result<()> {
    let output = tlscope(args)?;
    assert_is_refusal(&output, texts);
    Ok(())
}

/// Asserts that the output is an error in one line that contains `texts`.
pub(crate) fn assert_is_refusal(output: &CommandOutput, texts: &[&str]) {
    let CommandOutput { code, stdout, stderr } = output;
    assert_eq!(
        (*code, stdout.as_str(), output.stderr_lines()),
        (Some(1), "", 1),
        "{stderr}"
    );
    assert!(
        stderr.starts_with("tlscope: ") && !stderr.contains("panicked"),
        "{stderr}"
    );
    for word in texts {
        assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
    }
}
