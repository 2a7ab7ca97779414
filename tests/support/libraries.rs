//! Copies of the TLS library, for programs started with `LD_LIBRARY_PATH`.
//!
//! The copies have inodes of their own. Tests replace and remove them while they are mapped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{copy, run, search};

/// A folder with copies of libssl and libcrypto.
#[derive(Debug)]
pub struct Libraries(TempDir);

impl Libraries {
    /// Copies the libraries that nginx loads.
    pub fn copy() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        for library in system_libraries()? {
            let name = library.file_name().context("the library has no name")?;
            copy::file(&library, &directory.path().join(name))?;
        }
        Ok(Self(directory))
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replaces each library with a new file, as a package upgrade does.
    pub fn replace(&self) -> Result<()> {
        for library in self.files()? {
            let new = library.with_extension("new");
            copy::file(&library, &new)?;
            fs::rename(&new, &library)?;
        }
        Ok(())
    }

    /// Removes each library.
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

/// Returns whether a process maps a libssl that was deleted or replaced.
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

/// An overlay file system, which gives another folder's files inodes of its own. Dropping it unmounts it.
#[derive(Debug)]
pub struct Overlay(TempDir);

impl Overlay {
    /// Returns whether the kernel has overlayfs, possibly as a module.
    pub fn is_supported() -> Result<bool> {
        let known = || -> Result<bool> { Ok(fs::read_to_string("/proc/filesystems")?.contains("\toverlay\n")) };
        if !known()? {
            // If this fails, overlayfs is not supported.
            drop(run::run(Command::new("modprobe").arg("overlay")));
        }
        known()
    }

    /// Mounts an overlay over a folder.
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

    /// Returns the mount point.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("merged")
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // A process that is about to end may still use it.
        drop(run::run(Command::new("umount").arg("--lazy").arg(self.path())));
    }
}
