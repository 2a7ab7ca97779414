//! Lines in the journal. journald needs root, and a mount namespace of its own leaves that of the machine alone.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use support::{binary, run, source_file};

#[test]
#[ignore = "needs root: scripts/test runs it"]
fn the_journal_has_lines_unaltered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tapes");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh"]).arg(source_file("journald.sh"));
    let replay_all = "for tape; do \"$0\" replay \"$tape\" -o json --syslog unix:///run/systemd/journal/dev-log; done";
    command.arg(folder.path()).args(["cat", "1", "sh", "-c", replay_all]);
    command.arg(binary::tlscope()?);
    // A few hundred lines.
    for _ in 0..20 {
        command.args(["nginx", "late", "grpc"].map(|name| tapes.join(name).with_extension("tape")));
    }
    run::succeed(&mut command)?;
    let read = |name: &str| fs::read_to_string(folder.path().join(name));
    let (printed, journal) = (read("printed")?, read("journal")?);
    assert!(printed.lines().count() > 400, "{}", printed.lines().count());
    assert!(printed == journal, "other lines");
    Ok(())
}
