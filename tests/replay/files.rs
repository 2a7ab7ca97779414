//! The file of `-w`: rotated, compressed, and full.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use support::{binary, run};
use tempfile::TempDir;

use crate::tape_builder::TapeBuilder;

/// A tape of this many exchanges, and its lines.
fn tape(count: u64) -> Result<(TempDir, PathBuf, String)> {
    let mut tape = TapeBuilder::new();
    for connection in 1..=count {
        tape.exchange(connection)?;
    }
    let folder = tape.write()?;
    let path = folder.path().join("made.tape");
    let lines = run::succeed(binary::command(&["replay", "-o", "json"])?.arg(&path))?.stdout;
    Ok((folder, path, lines))
}

/// Returns the content of a file, uncompressed by the usual programs.
fn content(path: &Path) -> Result<String> {
    let program = match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => "gzip",
        Some("zst") => "zstd",
        _ => return Ok(fs::read_to_string(path)?),
    };
    Ok(run::succeed(Command::new(program).arg("-dc").arg(path))?.stdout)
}

/// Returns the files of a folder whose names begin like that of the output, in the order in which they were written.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut rotated = entries.collect::<Result<Vec<_>>>()?;
    rotated.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"out."))
    });
    rotated.sort();
    rotated.push(folder.join("out"));
    Ok(rotated)
}

#[test]
fn rotated_and_compressed_files_have_all_lines_in_their_order() -> Result<()> {
    let (_tape, path, lines) = tape(2000)?;
    for compression in [None, Some("gzip"), Some("zstd")] {
        let folder = tempfile::tempdir()?;
        let mut command = binary::command(&["replay", "-o", "json", "--rotate", "64KiB"])?;
        command.arg(&path).arg("-w").arg(folder.path().join("out"));
        if let Some(compression) = compression {
            command.args(["--compress", compression]);
        }
        assert_eq!(run::succeed(&mut command)?.stdout, "");
        let files = files(folder.path())?;
        assert!(files.len() > 10, "{files:?}");
        let contents = files.iter().map(|file| content(file)).collect::<Result<Vec<_>>>()?;
        assert!(
            contents
                .iter()
                .all(|content| content.len() <= 65_536 && content.ends_with('\n'))
        );
        assert!(contents.concat() == lines, "{compression:?}: other lines");
        // The next run compresses what the first one had no time for, and keeps what it found.
        run::succeed(command.args(["--keep", "3"]))?;
        let files = self::files(folder.path())?;
        // One that was being compressed when it was removed may be there once more.
        assert!((4..=5).contains(&files.len()), "{files:?}");
    }
    Ok(())
}

#[test]
fn a_file_that_is_full_has_whole_lines_and_the_rest_is_counted() -> Result<()> {
    let (_tape, path, lines) = tape(500)?;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    // Without the signal, a write beyond the limit on a file fails, as one to a full disk does. The limit is in 512 bytes.
    let script = "ulimit -f 40; trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(binary::tlscope()?)
        .args(["replay", "-o", "json"]);
    let output = run::succeed(command.arg(&path).arg("-w").arg(&out))?;
    let written = fs::read_to_string(&out)?;
    assert!(
        written.ends_with('\n') && written.len() > 10_000 && written.len() <= 20_480,
        "{}",
        written.len()
    );
    let all: HashSet<_> = lines.lines().collect();
    assert!(written.lines().all(|line| all.contains(line)));
    let messages = output
        .stderr
        .lines()
        .filter(|line| line.contains("cannot be written"))
        .count();
    let end = output.stderr.lines().find(|line| line.contains("for lack of room"));
    let dropped = end.and_then(|line| line.split_whitespace().find_map(|word| word.parse::<usize>().ok()));
    let dropped = dropped.with_context(|| output.stderr.clone())?;
    assert_eq!(
        (messages, written.lines().count() + dropped),
        (1, 500),
        "{}",
        output.stderr
    );
    Ok(())
}

#[test]
fn old_files_and_those_beyond_a_total_size_are_removed_and_nothing_else_is() -> Result<()> {
    let (_tape, path, lines) = tape(2000)?;
    let folder = tempfile::tempdir()?;
    let in_folder = |name: &str| folder.path().join(name);
    // What an earlier run has left, and what others have.
    let old = ["out.20200101T000000.000000Z", "out.20200102T000000.000000Z.gz"];
    let others = [
        "out.1",
        "out.20200101T000000.000000Z.bak",
        "outx.20200101T000000.000000Z",
        "out.20209901T000000.000000Z",
    ];
    for name in old.iter().chain(&others) {
        fs::write(in_folder(name), "old\n")?;
    }
    fs::create_dir(in_folder("out.20200103T000000.000000Z"))?;
    std::os::unix::fs::symlink(in_folder("out.1"), in_folder("out.20200104T000000.000000Z"))?;
    let mut command = binary::command(&["replay", "-o", "json", "-v", "--rotate", "64KiB"])?;
    command.args(["--keep-for", "30d", "--keep-bytes", "200KiB"]);
    let output = run::succeed(command.arg(&path).arg("-w").arg(in_folder("out")))?;
    for name in old {
        assert!(!in_folder(name).exists(), "{name}");
    }
    for name in others {
        assert_eq!(fs::read_to_string(in_folder(name))?, "old\n", "{name}");
    }
    assert!(in_folder("out.20200103T000000.000000Z").is_dir());
    assert!(in_folder("out.20200104T000000.000000Z").is_symlink());
    assert!(
        output.stderr.contains("2 rotated files removed, 8 bytes"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("1 rotated file removed, "), "{}", output.stderr);
    let is_new =
        |path: &PathBuf| path.to_string_lossy().contains("out.202") && !path.to_string_lossy().contains("out.2020");
    let files: Vec<_> = files(folder.path())?.into_iter().filter(is_new).collect();
    let sizes = files
        .iter()
        .map(|file| Ok(fs::metadata(file)?.len()))
        .collect::<Result<Vec<_>>>()?;
    let total = sizes.iter().sum::<u64>();
    assert!(
        files.len() >= 3 && total <= 200 * 1024 && total > 100 * 1024,
        "{sizes:?}"
    );
    // The latest lines are kept.
    let kept = files
        .iter()
        .map(|file| content(file))
        .collect::<Result<Vec<_>>>()?
        .concat();
    assert!(lines.ends_with(&(kept + &fs::read_to_string(in_folder("out"))?)));
    Ok(())
}
