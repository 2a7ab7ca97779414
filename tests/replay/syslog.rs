//! Lines that Debian's rsyslog gets.

use std::{collections::HashSet, path::Path};

use anyhow::Result;
use support::{Rsyslog, binary, rsyslog::Input, run, secrets::find_secret, wait};

use crate::{tape_builder::TapeBuilder, tapes::all};

/// Replays a tape to a syslog server. Returns stdout.
fn replay_to(rsyslog: &Rsyslog, tape: &Path) -> Result<String> {
    let mut command = binary::command(&["replay", "-o", "json", "--syslog", &rsyslog.url()?])?;
    let output = run::succeed(command.arg(tape))?;
    assert!(
        !output.stderr.contains("not exported") && !output.stderr.contains("not sent"),
        "{}",
        output.stderr
    );
    Ok(output.stdout)
}

#[test]
fn rsyslog_gets_ten_thousand_lines_unaltered_over_tcp() -> Result<()> {
    let mut tape = TapeBuilder::new();
    for connection in 1..=10_000 {
        tape.exchange(connection)?;
    }
    let folder = tape.write()?;
    let rsyslog = Rsyslog::start(Input::Tcp)?;
    let lines = replay_to(&rsyslog, &folder.path().join("made.tape"))?;
    assert_eq!(lines.lines().count(), 10_000);
    wait::until_true("rsyslog has all lines", || Ok(rsyslog.received()?.len() >= lines.len()))?;
    assert!(rsyslog.received()? == lines, "other lines");
    Ok(())
}

#[test]
fn rsyslog_gets_lines_of_every_kind_from_the_socket_of_this_machine() -> Result<()> {
    let rsyslog = Rsyslog::start(Input::Unix)?;
    let mut expected = HashSet::new();
    for tape in all()? {
        let lines = replay_to(&rsyslog, &tape)?;
        expected.extend(lines.lines().map(str::to_owned));
    }
    let received = || -> Result<HashSet<String>> { Ok(rsyslog.received()?.lines().map(str::to_owned).collect()) };
    wait::until_true("rsyslog has all lines", || Ok(received()?.len() >= expected.len()))?;
    assert!(received()? == expected, "other lines");
    assert_eq!(find_secret(&rsyslog.received()?), None);
    Ok(())
}

#[test]
fn rsyslog_reads_ten_thousand_lines_from_the_file() -> Result<()> {
    let mut tape = TapeBuilder::new();
    for connection in 1..=10_000 {
        tape.exchange(connection)?;
    }
    let folder = tape.write()?;
    let tape = folder.path().join("made.tape");
    let rsyslog = Rsyslog::start(Input::File)?;
    let mut command = binary::command(&["replay", "-o", "json"])?;
    run::succeed(command.arg(&tape).arg("-w").arg(rsyslog.followed()))?;
    let lines = std::fs::read_to_string(rsyslog.followed())?;
    assert_eq!(lines.lines().count(), 10_000);
    wait::until_true("rsyslog has all lines", || Ok(rsyslog.received()?.len() >= lines.len()))?;
    assert!(rsyslog.received()? == lines, "other lines");
    Ok(())
}
