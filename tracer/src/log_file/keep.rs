//! Which rotated files are kept.

use std::{fmt, fs, io, path::Path, time::Duration};

use jiff::Timestamp;

use super::{names::Rotated, size};

/// Bounds on the rotated files. Beyond any of them, the oldest are removed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keep {
    /// How many there may be.
    pub(crate) count: Option<usize>,
    /// How long ago they may have been rotated.
    pub(crate) age: Option<Duration>,
    /// How many bytes they may have, all together.
    pub(crate) bytes: Option<u64>,
}

/// What was removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// The first that could not be, with its path.
    pub(super) failed: Option<String>,
}

impl Keep {
    /// Returns how often to look for files that are too old; `None` if none ever are.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.age.map(|age| age.clamp(SHORTEST, LONGEST))
    }

    /// Removes the oldest rotated files of a file, as many as are beyond a bound at this time.
    pub(super) fn apply(&self, path: &Path, now: Timestamp) -> Removed {
        let mut removed = Removed::default();
        if self.count.is_none() && self.age.is_none() && self.bytes.is_none() {
            return removed;
        }
        let all = Rotated::all(path);
        let mut left = all.len();
        let mut bytes = all.iter().map(|rotated| rotated.bytes).fold(0, u64::saturating_add);
        for old in all {
            let is_surplus = self.count.is_some_and(|count| left > count)
                || self.bytes.is_some_and(|bound| bytes > bound)
                || self.age.is_some_and(|age| old.is_older(age, now));
            if !is_surplus {
                break;
            }
            left -= 1;
            bytes = bytes.saturating_sub(old.bytes);
            match fs::remove_file(&old.path) {
                Ok(()) => {
                    removed.files += 1;
                    removed.bytes = removed.bytes.saturating_add(old.bytes);
                }
                // Somebody else may have removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let failed = || format!("{} cannot be removed: {error}", old.path.display());
                    removed.failed.get_or_insert_with(failed);
                }
            }
        }
        removed
    }
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.files == 1 { "file" } else { "files" };
        write!(f, "{} rotated {files} removed, {} bytes", self.files, self.bytes)
    }
}

/// Parses an age such as `30d`.
pub(crate) fn parse_age(word: &str) -> Result<Duration, String> {
    match humantime::parse_duration(word) {
        Ok(age) if age >= Duration::from_secs(1) => Ok(age),
        Ok(_) | Err(_) => Err("wanted a time such as 30d or 12h".to_owned()),
    }
}

/// Parses a total size such as `10GiB`.
pub(crate) fn parse_bytes(word: &str) -> Result<u64, String> {
    size::parse(word).ok_or_else(|| "wanted a size such as 10GiB".to_owned())
}

/// How often to look for files that are too old, at most and at least.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{chown, symlink},
        path::PathBuf,
    };

    use super::{super::names::with_suffix, *};

    const STAMPS: [&str; 4] = [
        "20261101T000000.000000Z",
        "20261102T000000.000000Z.gz",
        "20261103T000000.000000Z.zst",
        "20261104T000000.000000Z",
    ];

    fn now() -> Timestamp {
        "2026-11-04T12:00:00Z".parse().unwrap()
    }

    /// Makes rotated files of 100, 200, 300 and 400 bytes, the oldest first; returns the path of the file itself.
    fn rotated(folder: &Path) -> PathBuf {
        let path = folder.join("out.json");
        for (number, stamp) in STAMPS.iter().enumerate() {
            fs::write(with_suffix(&path, stamp), vec![b'x'; 100 * (number + 1)]).unwrap();
        }
        path
    }

    fn left(path: &Path) -> Vec<bool> {
        STAMPS.iter().map(|stamp| with_suffix(path, stamp).exists()).collect()
    }

    #[test]
    fn each_bound_removes_the_oldest_files_and_no_more() {
        let day = Duration::from_hours(24);
        let count = |count| Keep {
            count: Some(count),
            ..Keep::default()
        };
        let age = |age| Keep {
            age: Some(age),
            ..Keep::default()
        };
        let bytes = |bytes| Keep {
            bytes: Some(bytes),
            ..Keep::default()
        };
        let all = Keep {
            count: Some(3),
            age: Some(3 * day),
            bytes: Some(400),
        };
        for (keep, removed, of_bytes) in [
            (Keep::default(), 0, 0),
            (count(4), 0, 0),
            (count(1), 3, 600),
            (age(4 * day), 0, 0),
            (age(2 * day), 2, 300),
            (age(Duration::from_secs(1)), 4, 1000),
            (bytes(1000), 0, 0),
            (bytes(999), 1, 100),
            (bytes(400), 3, 600),
            (bytes(399), 4, 1000),
            (all, 3, 600),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = rotated(folder.path());
            let done = keep.apply(&path, now());
            assert_eq!(
                (done.files, done.bytes, done.failed),
                (removed, of_bytes, None),
                "{keep:?}"
            );
            let expected: Vec<_> = (0..4).map(|number| number >= removed).collect();
            assert_eq!(left(&path), expected, "{keep:?}");
        }
    }

    #[test]
    fn only_own_regular_files_with_a_name_of_this_file_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = rotated(folder.path());
        let outside = folder.path().join("outside");
        fs::write(&outside, "x").unwrap();
        // Each is older than all.
        let (link, directory) = ("20200101T000000.000000Z", "20200102T000000.000000Z");
        symlink(&outside, with_suffix(&path, link)).unwrap();
        fs::create_dir(with_suffix(&path, directory)).unwrap();
        let others = [
            "out.json",
            "out.json.1",
            "out.json.20200103T000000.000000Z.bak",
            "out.json.20200103T000000.000000Z.gz.part",
            "out.json.20200103T000000Z",
            "out.json.20201303T000000.000000Z",
            "out.json.20200103T006000.000000Z",
            "out.jsonx.20200103T000000.000000Z",
            "other.20200103T000000.000000Z",
            "20200103T000000.000000Z",
        ];
        for name in others {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let foreign = with_suffix(&path, "20200104T000000.000000Z");
        fs::write(&foreign, "x").unwrap();
        // Only root can give a file away.
        let is_foreign = chown(&foreign, Some(65_534), None).is_ok();
        let keep = Keep {
            count: Some(0),
            age: Some(Duration::from_secs(1)),
            bytes: Some(0),
        };
        let removed = keep.apply(&path, now());
        assert_eq!((removed.files, removed.failed), (if is_foreign { 4 } else { 5 }, None));
        assert_eq!(left(&path), [false; 4]);
        assert_eq!(foreign.exists(), is_foreign);
        assert!(with_suffix(&path, link).is_symlink() && outside.exists());
        assert!(with_suffix(&path, directory).is_dir());
        for name in others {
            assert!(folder.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn ages_and_sizes_need_a_unit() {
        assert_eq!(parse_age("30d"), Ok(Duration::from_hours(720)));
        assert_eq!(parse_bytes("10GiB"), Ok(10 << 30));
        assert_eq!(parse_bytes("1TiB"), Ok(1 << 40));
        for word in ["", "30", "0s", "-1d", "10GiB"] {
            parse_age(word).unwrap_err();
        }
        for word in ["", "10", "10GB", "0KiB", "-1MiB", "30d", "99999999TiB"] {
            parse_bytes(word).unwrap_err();
        }
    }
}
