//! The file of `-w`: its owner's alone.
//!
//! In: a path. Out: a file that nobody else can read. Refuses a file that is another user's, and a link that is: whoever
//! may write to a folder for all could have put it there. What is no file, such as a FIFO or a terminal, and what is open
//! already, such as `/dev/stdout`, is taken as it is.

use std::{
    fs::{File, OpenOptions, Permissions, symlink_metadata},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;

/// Opens a file for writing, empty and with mode 0600, whether it exists or not.
pub(crate) fn create(path: &Path) -> Result<File> {
    let name = path.display();
    if is_already_open(path) {
        return open(path, true).with_context(|| format!("{name} cannot be written"));
    }
    let us = geteuid().as_raw();
    let link = symlink_metadata(path).ok().filter(|link| link.file_type().is_symlink());
    // The system's own links are root's.
    let trusted = link.as_ref().is_none_or(|link| [us, 0].contains(&link.uid()));
    ensure!(trusted, "{name} is not written: it is a link of another user");
    let file = open(path, link.is_some()).with_context(|| format!("{name} cannot be written"))?;
    let found = file.metadata().with_context(|| format!("{name} cannot be written"))?;
    if found.is_file() {
        ensure!(found.uid() == us, "{name} is not written: it belongs to another user");
        // Before the first byte is in it: what it was open to, and what it held, is over.
        file.set_permissions(Permissions::from_mode(MODE))
            .and_then(|()| file.set_len(0))
            .with_context(|| format!("{name} cannot be written"))?;
    }
    Ok(file)
}

/// Returns whether a path is that of an open file of our own: whoever opened it decided who may read it.
fn is_already_open(path: &Path) -> bool {
    let named = ["/dev/stdout", "/dev/stderr"]
        .iter()
        .any(|stream| path == Path::new(stream));
    named
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

/// Opens without emptying: it may yet turn out to be another user's.
fn open(path: &Path, follow: bool) -> io::Result<File> {
    let no_follow = if follow { 0 } else { libc::O_NOFOLLOW };
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .custom_flags(no_follow)
        .open(path)
}

/// Readable and writable by the owner.
const MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_that_exists_is_emptied_and_becomes_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "longer than what comes").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        create(&path).unwrap().write_all(b"new").unwrap();
        assert_eq!(
            (mode(&path), fs::read_to_string(&path).unwrap().as_str()),
            (0o600, "new")
        );
    }

    #[test]
    fn a_new_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn an_own_link_is_followed_and_what_is_no_file_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out"), folder.path().join("link"));
        symlink(&path, &link).unwrap();
        create(&link).unwrap();
        assert_eq!(mode(&path), 0o600);
        let before = mode(Path::new("/dev/null"));
        create(Path::new("/dev/null")).unwrap();
        assert_eq!(mode(Path::new("/dev/null")), before);
    }
}
