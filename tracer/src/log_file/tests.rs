//! Rotating, reopening and a full disk.

use std::io::Read as _;

use tempfile::TempDir;

use super::*;

fn line(number: usize) -> Vec<u8> {
    format!("{number:0>99}\n").into_bytes()
}

/// Writes lines one by one.
fn write(log: &mut LogFile, numbers: std::ops::Range<usize>) {
    for number in numbers {
        log.write(&line(number), &[100]).unwrap();
    }
}

fn rotation(size: u64, keep: Option<usize>, compression: Option<Compression>) -> Rotation {
    Rotation {
        when: vec![Rotate::Size(size)],
        keep: Keep {
            count: keep,
            ..Keep::default()
        },
        compression,
        verbose: false,
    }
}

fn create(folder: &TempDir, rotation: Rotation) -> LogFile {
    LogFile::create(&folder.path().join("out"), rotation, true).unwrap()
}

/// Returns the content of a file, uncompressed.
fn content(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut plain = Vec::new();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => drop(
            flate2::read::MultiGzDecoder::new(bytes.as_slice())
                .read_to_end(&mut plain)
                .unwrap(),
        ),
        Some("zst") => {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let mut decoder = ruzstd::decoding::StreamingDecoder::new(&mut rest).unwrap();
                decoder.read_to_end(&mut plain).unwrap();
            }
        }
        _ => plain = bytes,
    }
    plain
}

/// Returns all that is in the rotated files, the oldest first, and in the file.
fn everything(folder: &TempDir) -> Vec<u8> {
    let path = folder.path().join("out");
    let rotated = Rotated::all(&path).into_iter().map(|rotated| rotated.path);
    rotated.chain([path]).flat_map(|path| content(&path)).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<u8> {
    range.flat_map(line).collect()
}

#[test]
fn a_file_is_rotated_before_it_is_too_large_and_no_line_is_lost_or_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = create(&folder, rotation(1000, None, None));
    write(&mut log, 0..95);
    let path = folder.path().join("out");
    let all = Rotated::all(&path);
    assert_eq!(all.len(), 9);
    assert!(
        all.iter()
            .all(|rotated| fs::metadata(&rotated.path).unwrap().len() == 1000)
    );
    assert!(everything(&folder) == numbers(0..95));
    drop(log);
    // That of an earlier run is kept.
    let mut log = create(&folder, rotation(1000, None, None));
    write(&mut log, 95..100);
    assert_eq!(Rotated::all(&path).len(), 10);
    assert!(everything(&folder) == numbers(0..100));
}

#[test]
fn lines_that_are_written_at_once_are_split_and_a_line_that_is_too_large_has_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = create(&folder, rotation(250, None, None));
    log.write(&numbers(0..5), &[100; 5]).unwrap();
    log.write(b"", &[]).unwrap();
    log.write(&[b'x'; 300], &[300]).unwrap();
    log.write(&numbers(5..6), &[100]).unwrap();
    let sizes: Vec<_> = Rotated::all(&folder.path().join("out"))
        .iter()
        .map(|rotated| fs::metadata(&rotated.path).unwrap().len())
        .collect();
    assert_eq!(sizes, [200, 200, 100, 300]);
}

#[test]
fn without_a_rotation_the_file_of_an_earlier_run_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    for begin in [0, 5] {
        let mut log = create(&folder, Rotation::default());
        write(&mut log, begin..begin + 5);
    }
    assert!(everything(&folder) == numbers(5..10));
}

#[test]
fn the_oldest_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = create(&folder, rotation(1000, Some(2), None));
    write(&mut log, 0..95);
    assert_eq!(Rotated::all(&folder.path().join("out")).len(), 2);
    assert!(everything(&folder) == numbers(70..95));
}

#[test]
fn rotated_files_are_compressed_and_what_is_not_is_at_the_next_start() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = create(&folder, rotation(1000, None, None));
        write(&mut log, 0..95);
        drop(log);
        let path = folder.path().join("out");
        let part = folder.path().join("out.20261130T124109.000001Z.gz.part");
        fs::write(&part, "not finished").unwrap();
        let log = create(&folder, rotation(1000, None, Some(compression)));
        while Rotated::all(&path).iter().any(Rotated::is_plain) {
            std::thread::yield_now();
        }
        assert!(everything(&folder) == numbers(0..95), "{compression:?}");
        assert!(!part.exists());
        drop(log);
        let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert!(
            Rotated::all(&path)
                .iter()
                .all(|rotated| mode(&rotated.path) & 0o777 == 0o600)
        );
    }
}

#[test]
fn a_file_that_cannot_be_renamed_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = create(&folder, rotation(1000, None, None));
    write(&mut log, 0..10);
    // The new name is in a folder that is gone.
    let moved = folder.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(folder.path().join("out"), moved.join("out")).unwrap();
    log.path = folder.path().join("none/out");
    write(&mut log, 10..30);
    assert!(fs::read(moved.join("out")).unwrap() == numbers(0..30));
}

#[cfg(feature = "live")]
#[test]
fn a_reopened_file_is_the_one_of_the_name_and_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut log = create(&folder, Rotation::default());
    write(&mut log, 0..10);
    let old = folder.path().join("old");
    fs::rename(&path, &old).unwrap();
    write(&mut log, 10..20);
    log.reopen();
    write(&mut log, 20..30);
    log.reopen();
    write(&mut log, 30..40);
    assert!(fs::read(&old).unwrap() == numbers(0..20));
    assert!(fs::read(&path).unwrap() == numbers(20..40));
    // As `copytruncate` does.
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    write(&mut log, 40..50);
    assert!(fs::read(&path).unwrap() == numbers(40..50));
}

#[test]
fn what_does_not_fit_is_cut_at_the_end_of_a_line() {
    assert_eq!(whole_lines(&[3, 4, 5], 0), (0, 0));
    assert_eq!(whole_lines(&[3, 4, 5], 6), (3, 1));
    assert_eq!(whole_lines(&[3, 4, 5], 7), (7, 2));
    assert_eq!(whole_lines(&[3, 4, 5], 12), (12, 3));
    let folder = tempfile::tempdir().unwrap();
    let mut log = create(&folder, Rotation::default());
    write(&mut log, 0..3);
    log.write(b"half", &[4]).unwrap();
    log.cut(4).unwrap();
    log.drop_lines(&io::ErrorKind::StorageFull.into(), 7);
    assert_eq!(log.lost.take(), 0);
    write(&mut log, 3..5);
    assert!(everything(&folder) == numbers(0..5));
    assert_eq!((log.lost.take(), log.lost.take()), (7, 0));
}

#[test]
fn a_device_cannot_be_rotated() {
    let rotated = LogFile::create(Path::new("/dev/null"), rotation(1000, None, None), true);
    assert!(format!("{:#}", rotated.unwrap_err()).contains("cannot be rotated"));
    let mut log = LogFile::create(Path::new("/dev/full"), Rotation::default(), true).unwrap();
    assert_eq!(log.write(b"x\n", &[2]).unwrap_err().kind(), io::ErrorKind::StorageFull);
}
