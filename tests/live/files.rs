//! The file of `-w` of a running trace: rotated by logrotate, and on a disk that fills up.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;
use support::{
    Nginx, Tracer, curl,
    load::Steady,
    run, wait,
    wrk::{Load, Wrk},
};
use tempfile::TempDir;

/// Returns the ids of the exchanges in some lines, all of which are whole.
fn ids(text: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if line["type"] == "exchange" {
            ids.push(line["id"].as_str().context("an exchange without an id")?.to_owned());
        }
    }
    Ok(ids)
}

/// Returns the files of a folder whose names begin like that of the output.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<Result<Vec<_>>>()?;
    paths.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"out"))
    });
    Ok(paths)
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn logrotate_and_hangups_lose_no_line() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let tracer = Tracer::of(&[nginx.master()], &["-o", "json", "-w", &out.display().to_string()])?;
    let configuration = folder.path().join("logrotate.conf");
    let text = format!(
        "{} {{\n size 1\n rotate 100\n missingok\n nocreate\n postrotate\n  kill -HUP {}\n endscript\n}}\n",
        out.display(),
        tracer.pid()
    );
    fs::write(&configuration, text)?;
    let load = Steady::start(&nginx)?;
    for rotated in 1..=5 {
        let mut logrotate = Command::new("logrotate");
        logrotate
            .arg("--force")
            .arg("--state")
            .arg(folder.path().join("state"))
            .arg(&configuration);
        run::succeed(&mut logrotate)?;
        wait::until_true("the file is reopened and written", || {
            Ok(fs::metadata(&out).is_ok_and(|metadata| metadata.len() > 0))
        })?;
        assert_eq!(files(folder.path())?.len(), rotated + 1);
    }
    let answered = load.stop()?;
    nginx.wait_until_logged(answered)?;
    let trace = tracer.stop()?;
    let texts = files(folder.path())?
        .iter()
        .map(fs::read_to_string)
        .collect::<Result<Vec<_>, _>>()?;
    let ids = ids(&texts.concat())?;
    assert_eq!(
        (trace.code, u64::try_from(ids.len())?),
        (Some(0), trace.totals()?.exchanges)
    );
    assert_eq!(ids.len(), answered);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), answered);
    Ok(())
}

/// A file system in memory of 1 MiB.
struct Small(TempDir);

impl Small {
    fn mount() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        run::succeed(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=1m", "none"])
                .arg(folder.path()),
        )?;
        Ok(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(run::run(Command::new("umount").arg(self.0.path())));
    }
}

#[test]
#[ignore = "needs root, BPF and uprobes: scripts/test runs it"]
fn a_full_disk_costs_lines_that_are_counted_and_nothing_else() -> Result<()> {
    const REQUESTS: usize = 5000;
    let nginx = Nginx::start()?;
    let small = Small::mount()?;
    let out = small.0.path().join("out");
    let tracer = Tracer::of(&[nginx.master()], &["-o", "json", "-w", &out.display().to_string()])?;
    let wrk = Wrk::start(&nginx, Load::of(REQUESTS, "/small/NUMBER"))?;
    tracer.wait_for_message(&["cannot be written", "lines are dropped"])?;
    nginx.wait_until_logged(REQUESTS)?;
    wrk.stop()?;
    let before = fs::read_to_string(&out)?;
    assert!(before.ends_with('\n'));
    fs::File::options().write(true).open(&out)?.set_len(0)?;
    let mut extra = 0;
    wait::until_true("the file is written again", || {
        extra += 1;
        curl::request(&[&nginx.url("/small/again")])?;
        Ok(fs::metadata(&out)?.len() > 0)
    })?;
    nginx.wait_until_logged(REQUESTS + extra)?;
    let trace = tracer.stop()?;
    let after = fs::read_to_string(&out)?;
    let message = trace.stderr.iter().find(|line| line.contains("is written again"));
    let dropped = message.and_then(|line| line.split_whitespace().find_map(|word| word.parse::<usize>().ok()));
    let dropped = dropped.with_context(|| format!("{:?}", trace.stderr))?;
    let ids = [ids(&before)?, ids(&after)?].concat();
    let lines = before.lines().count() + after.lines().count();
    let others = lines - ids.len();
    // Lines of health may have been dropped too.
    let all = ids.len() + dropped;
    assert!(
        (REQUESTS + extra..=REQUESTS + extra + 10).contains(&all),
        "{all}, {others} others"
    );
    assert_eq!(trace.totals()?.exchanges, u64::try_from(REQUESTS + extra)?);
    assert!(
        trace
            .stderr
            .iter()
            .any(|line| line.contains("there was no room for them")),
        "{:?}",
        trace.stderr
    );
    Ok(())
}
