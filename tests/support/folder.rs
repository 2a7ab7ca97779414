//! A folder with copies of the TLS library, for programs that are started with `LD_LIBRARY_PATH`.
//!
//! Out: files of their own inodes, which a test can replace or remove while they are mapped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{copy, run, search};

/// Copies of libssl and libcrypto under their own names.
#[derive(Debug)]
pub struct Libraries(TempDir);

impl Libraries {
    /// Copies those that the system's programs load.
    pub fn copy() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        for library in system_libraries()? {
            let name = library.file_name().context("a library has a name")?;
            copy::file(&library, &directory.path().join(name))?;
        }
        Ok(Self(directory))
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts another file in the place of each, as a package's upgrade does.
    pub fn replace(&self) -> Result<()> {
        for library in self.files()? {
            let new = library.with_extension("new");
            copy::file(&library, &new)?;
            fs::rename(&new, &library)?;
        }
        Ok(())
    }

    /// Removes each.
    pub fn remove(&self) -> Result<()> {
        for library in self.files()? {
            fs::remove_file(library)?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        fs::read_dir(self.path())?.map(|file| Ok(file?.path())).collect()
    }
}

/// Tells whether a process maps a libssl whose file has no name any more.
pub fn maps_deleted_libssl(pid: u32) -> Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(maps
        .lines()
        .any(|line| line.contains("/libssl.") && line.ends_with(" (deleted)")))
}

fn system_libraries() -> Result<Vec<PathBuf>> {
    let mut libraries = search::libraries(&search::program("nginx")?)?;
    libraries.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libssl.") || name.starts_with("libcrypto.")
    });
    Ok(libraries)
}

/// An overlay file system, which shows another folder's files under inodes of its own; it is gone when this is dropped.
#[derive(Debug)]
pub struct Overlay(TempDir);

impl Overlay {
    /// Whether the kernel has overlay file systems, which may be a module.
    pub fn is_supported() -> Result<bool> {
        let known = || -> Result<bool> { Ok(fs::read_to_string("/proc/filesystems")?.contains("\toverlay\n")) };
        if !known()? {
            // Without it the answer is no, which is an answer.
            drop(run::run(Command::new("modprobe").arg("overlay")));
        }
        known()
    }

    /// Mounts one over a folder.
    pub fn over(lower: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        for name in ["upper", "work", "merged"] {
            fs::create_dir(path(name))?;
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            path("upper").display(),
            path("work").display()
        );
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(path("merged"));
        run::succeed(&mut mount)?;
        Ok(Self(directory))
    }

    /// What it shows.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("merged")
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // Lazily: a process that has not quite ended must not keep it.
        drop(run::run(Command::new("umount").arg("--lazy").arg(self.path())));
    }
}
