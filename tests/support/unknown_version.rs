//! A libcrypto with a version that no table of structure offsets lists.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// A folder with a libcrypto.so.3 whose version string is 3.9.99.
#[derive(Debug)]
pub struct UnknownVersion(TempDir);

impl UnknownVersion {
    /// Copies the system's library and changes its version strings.
    pub fn make() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut image = fs::read(system_libcrypto()?)?;
        let places = version_texts(&image);
        ensure!(!places.is_empty(), "the system's libcrypto states no version");
        for place in places {
            // Replaces the version in place, so that no offsets change.
            let word = image.get_mut(place..).context("the offset is outside of the image")?;
            let length = word
                .iter()
                .position(|byte| *byte == b' ')
                .context("no date follows the version")?;
            for (byte, new) in word
                .iter_mut()
                .take(length)
                .zip(b"3.9.99".iter().chain([b'9'].iter().cycle()))
            {
                *byte = *new;
            }
        }
        fs::write(directory.path().join("libcrypto.so.3"), image)?;
        Ok(Self(directory))
    }

    /// Returns the folder, for `LD_LIBRARY_PATH`.
    pub fn folder(&self) -> Result<&str> {
        self.0.path().to_str().context("the path of the folder is not UTF-8")
    }
}

fn system_libcrypto() -> Result<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"];
    let mut candidates = folders
        .iter()
        .map(|folder| PathBuf::from(folder).join("libcrypto.so.3"));
    candidates
        .find(|path| path.is_file())
        .context("the system has no libcrypto.so.3")
}

/// Returns the offsets of the version numbers after the library's name.
fn version_texts(image: &[u8]) -> Vec<usize> {
    const NAME: &[u8] = b"OpenSSL 3.";
    let named = image
        .windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| *window == NAME);
    named.map(|(place, _)| place + NAME.len() - 2).collect()
}
