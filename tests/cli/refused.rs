//! What a refusal looks like: one line that says what and why, and no other trace of it.

use anyhow::Result;
use support::{Ran, binary, run, schema};

/// Runs `tlscope`, whose lines of JSON must be as the schema has them.
pub(crate) fn tlscope(words: &[&str]) -> Result<Ran> {
    let ran = run::run(&mut binary::command(words)?)?;
    schema::check_lines(ran.stdout.lines())?;
    Ok(ran)
}

/// Asserts that `tlscope` with these words ends with 1, prints nothing, and says one line that has `said` in it.
pub(crate) fn assert_refused(words: &[&str], said: &[&str]) -> Result<()> {
    let ran = tlscope(words)?;
    assert_is_refusal(&ran, said);
    Ok(())
}

/// Asserts that a run is a refusal in one line that has `said` in it.
pub(crate) fn assert_is_refusal(ran: &Ran, said: &[&str]) {
    let Ran { code, stdout, stderr } = ran;
    assert_eq!((*code, stdout.as_str(), ran.complaints()), (Some(1), "", 1), "{stderr}");
    assert!(
        stderr.starts_with("tlscope: ") && !stderr.contains("panicked"),
        "{stderr}"
    );
    for word in said {
        assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
    }
}
