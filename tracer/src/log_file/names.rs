//! The names of rotated files: that of the file, and when it was rotated. Such a name never changes, so that whoever reads or
//! copies the files can rely on it.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    process::geteuid,
};

use super::compression::{Compression, PART};

/// The time in a name. Names in their order are files in theirs.
const STAMP: &str = "%Y%m%dT%H%M%S.%6fZ";

/// The form of [`STAMP`]: a zero stands for any digit.
const FORM: &[u8] = b"00000000T000000.000000Z";

/// A rotated file.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rotated {
    stamp: String,
    pub(super) path: PathBuf,
    /// Size of the file.
    pub(super) bytes: u64,
}

impl Rotated {
    /// Renames a file to one that does not exist; returns its name, or `None` if the file itself does not exist any more.
    pub(super) fn rename(path: &Path) -> io::Result<Option<PathBuf>> {
        let mut now = Timestamp::now();
        loop {
            let to = with_suffix(path, &now.strftime(STAMP).to_string());
            match renameat_with(CWD, path, CWD, &to, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(Some(to)),
                Err(rustix::io::Errno::NOENT) if !path.exists() => return Ok(None),
                Err(rustix::io::Errno::EXIST) => now += Duration::from_micros(1),
                // Some file systems cannot exclude the other name; nobody else makes one like it.
                Err(rustix::io::Errno::INVAL) => return fs::rename(path, &to).map(|()| Some(to)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns the rotated files of a file, the oldest first. What is not a regular file, such as a link, or belongs to another
    /// user, is none of ours, whatever its name.
    pub(super) fn all(path: &Path) -> Vec<Self> {
        let mut all: Vec<_> = siblings(path)
            .filter_map(|(path, rest)| Self::parse(path, &rest))
            .collect();
        all.sort();
        all
    }

    /// Returns whether it was rotated longer ago than this.
    pub(super) fn is_older(&self, age: Duration, now: Timestamp) -> bool {
        time_of(&self.stamp)
            .is_some_and(|rotated| now.duration_since(rotated) > age.try_into().unwrap_or(SignedDuration::MAX))
    }

    /// Removes compressed files that an earlier run did not finish.
    pub(super) fn remove_parts(path: &Path) {
        let parts = siblings(path)
            .filter(|(_, rest)| rest.ends_with(PART) && rest.as_bytes().get(..FORM.len()).is_some_and(is_stamp));
        for (part, _) in parts {
            drop(fs::remove_file(part));
        }
    }

    /// Returns whether it is not compressed.
    pub(super) fn is_plain(&self) -> bool {
        self.path
            .as_os_str()
            .as_encoded_bytes()
            .ends_with(self.stamp.as_bytes())
    }

    /// Parses what follows the name of the file and a dot.
    fn parse(path: PathBuf, rest: &str) -> Option<Self> {
        let (stamp, ending) = rest.split_at_checked(FORM.len())?;
        let is_known = ending.is_empty() || Compression::ENDINGS.contains(&ending);
        if !is_known || !is_stamp(stamp.as_bytes()) {
            return None;
        }
        time_of(stamp)?;
        let found = fs::symlink_metadata(&path).ok()?;
        (found.is_file() && found.uid() == geteuid().as_raw()).then(|| Self {
            stamp: stamp.to_owned(),
            path,
            bytes: found.len(),
        })
    }
}

/// Returns a name with a dot and a suffix.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Returns the files whose names begin like that of a file, with what follows after a dot.
fn siblings(path: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    let folder = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    folder.into_iter().flatten().flatten().filter_map(move |entry| {
        let found = entry.file_name();
        let rest = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?;
        let rest = str::from_utf8(rest.strip_prefix(b".")?).ok()?;
        Some((entry.path(), rest.to_owned()))
    })
}

/// Returns the time that a name has; `None` if there is no such time.
fn time_of(stamp: &str) -> Option<Timestamp> {
    let (date, time) = stamp.split_once('T')?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}").parse().ok()
}

fn is_stamp(bytes: &[u8]) -> bool {
    bytes.len() == FORM.len()
        && bytes.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_rotated_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.json");
        let own = [
            "20261130T124109.000002Z.gz",
            "20261130T124109.000001Z",
            "20251130T124109.000003Z.zst",
        ];
        let others = [
            "1",
            "20261130T124109.000001Z.bak",
            "20261130T124109Z",
            "2026113xT124109.000001Z",
            "20261130T124109.000001Z.gz.part",
        ];
        for rest in own.iter().chain(&others) {
            fs::write(with_suffix(&file, rest), "x").unwrap();
        }
        fs::write(folder.path().join("out.jsonx.20261130T124109.000001Z"), "x").unwrap();
        let stamps: Vec<_> = Rotated::all(&file)
            .into_iter()
            .map(|rotated| (rotated.stamp.clone(), rotated.is_plain()))
            .collect();
        let expected = [
            ("20251130T124109.000003Z", false),
            ("20261130T124109.000001Z", true),
            ("20261130T124109.000002Z", false),
        ];
        assert_eq!(stamps, expected.map(|(stamp, plain)| (stamp.to_owned(), plain)));
        Rotated::remove_parts(&file);
        assert!(!with_suffix(&file, others[4]).exists());
        assert!(others[..4].iter().all(|rest| with_suffix(&file, rest).exists()));
    }

    #[test]
    fn each_rename_makes_a_new_name_and_a_missing_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        for number in 0..20 {
            fs::write(&file, number.to_string()).unwrap();
            assert!(Rotated::rename(&file).unwrap().is_some());
        }
        assert_eq!(Rotated::rename(&file).unwrap(), None);
        let all = Rotated::all(&file);
        let contents: Vec<_> = all
            .iter()
            .map(|rotated| fs::read_to_string(&rotated.path).unwrap())
            .collect();
        assert_eq!(contents, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}
