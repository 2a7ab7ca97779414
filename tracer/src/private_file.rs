//! Creates the output file of `-w`, which only its owner can read.

use std::{
    fs::{File, OpenOptions, Permissions, symlink_metadata},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;

/// Opens a file for writing, truncates it and sets its mode to 0600. A file of another kind, such as a FIFO or a terminal,
/// and a path of an open descriptor, such as `/dev/stdout`, are opened without changes.
///
/// # Errors
///
/// Fails if the file belongs to another user, or the path is a symbolic link of another user: anyone could have created
/// it in a shared folder such as `/tmp`.
pub(crate) fn create(path: &Path) -> Result<File> {
    let file = append(path)?;
    if !is_descriptor(path) && file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        file.set_len(0)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(file)
}

/// Does the same without truncating the file: what is written is added at its end, wherever that is then.
pub(crate) fn append(path: &Path) -> Result<File> {
    let name = path.display();
    if is_descriptor(path) {
        return open(path, true).with_context(|| format!("{name} cannot be written"));
    }
    let us = geteuid().as_raw();
    let link = symlink_metadata(path).ok().filter(|link| link.file_type().is_symlink());
    // Links of the system belong to root.
    let trusted = link.as_ref().is_none_or(|link| [us, 0].contains(&link.uid()));
    ensure!(trusted, "{name} is not written: it is a link of another user");
    let file = open(path, link.is_some()).with_context(|| format!("{name} cannot be written"))?;
    let found = file.metadata().with_context(|| format!("{name} cannot be written"))?;
    if found.is_file() {
        ensure!(found.uid() == us, "{name} is not written: it belongs to another user");
        // Before any data is written. The mode of `open` applies to new files only.
        file.set_permissions(Permissions::from_mode(MODE))
            .with_context(|| format!("{name} cannot be written"))?;
    }
    Ok(file)
}

/// Returns whether a path refers to an open descriptor of this process. Who opened it decided who can read it.
fn is_descriptor(path: &Path) -> bool {
    let named = ["/dev/stdout", "/dev/stderr"]
        .iter()
        .any(|stream| path == Path::new(stream));
    named
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

/// Opens a file without truncating it: it may turn out to belong to another user. Whatever is written to it comes last, also
/// if somebody else truncates it, as logrotate does with `copytruncate`.
fn open(path: &Path, follow: bool) -> io::Result<File> {
    let no_follow = if follow { 0 } else { libc::O_NOFOLLOW };
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .custom_flags(no_follow)
        .open(path)
}

const MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn an_existing_file_is_truncated_and_made_private() {
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
    fn a_file_to_append_to_keeps_what_it_has_and_is_made_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        append(&path).unwrap().write_all(b"new").unwrap();
        assert_eq!(
            (mode(&path), fs::read_to_string(&path).unwrap().as_str()),
            (0o600, "oldnew")
        );
    }

    #[test]
    fn a_new_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn an_own_link_is_followed_and_a_device_is_not_changed() {
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
