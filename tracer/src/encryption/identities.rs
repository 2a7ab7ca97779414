//! The keys that open a tape.

use std::{
    fs::{File, Metadata},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use age::{Identity, IdentityFile};
use anyhow::{Context as _, Result, ensure};
use clap::Args;
use rustix::fs::Mode;

use crate::limits::MAX_KEY_FILE_BYTES;

/// Which keys open a tape.
#[derive(Args, Debug)]
pub(crate) struct IdentityArgs {
    /// Open an encrypted tape with the private key in this file, which nobody else may be able to read; may be repeated
    #[arg(short = 'i', long = "identity", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

impl IdentityArgs {
    /// Returns whether there are any.
    pub(crate) const fn are_given(&self) -> bool {
        !self.files.is_empty()
    }
}

/// Reads the keys of these files.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Box<dyn Identity>>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(read_file(path).with_context(|| format!("--identity {}", path.display()))?);
    }
    Ok(all)
}

fn read_file(path: &Path) -> Result<Vec<Box<dyn Identity>>> {
    let file = File::open(path)?;
    check_mode(path, &file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(MAX_KEY_FILE_BYTES).read_to_end(&mut bytes)?;
    ensure!(
        !bytes.starts_with(b"age-encryption.org/") && !bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"),
        "the key is encrypted with a passphrase; decrypt it for this, as in --identity <(age -d {})",
        path.display()
    );
    ensure!(
        !bytes.starts_with(b"-----BEGIN"),
        "keys of SSH are not supported; `age-keygen` makes a key of age"
    );
    // Its own errors may name what it read, which may be a part of a key.
    let keys = IdentityFile::from_buffer(bytes.as_slice())
        .and_then(|file| file.into_identities().map_err(std::io::Error::other));
    let keys = keys.ok().filter(|keys| !keys.is_empty());
    keys.context("there is no private key of age in it (AGE-SECRET-KEY-1...)")
}

/// Refuses a key that others can read, as ssh does: who has it opens every tape. Pipes, such as of a password manager, have no mode
/// to speak of.
fn check_mode(path: &Path, found: &Metadata) -> Result<()> {
    let mode = found.permissions().mode() & 0o777;
    ensure!(
        !found.is_file() || !Mode::from_raw_mode(mode).intersects(Mode::RWXG | Mode::RWXO),
        "others can read or write it (its mode is {mode:04o}), so the key in it is not used; chmod 600 {}",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use age::{secrecy::ExposeSecret as _, x25519};

    use super::*;

    fn reason(path: &Path) -> String {
        format!("{:#}", read(&[path.to_owned()]).err().unwrap())
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = x25519::Identity::generate().to_string();
        fs::write(&path, format!("# created: today\n{}\n", key.expose_secret())).unwrap();
        for mode in [0o600, 0o400, 0o700] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&[path.clone(), path.clone()]).unwrap().len(), 2);
        }
        for mode in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let reason = reason(&path);
            assert!(
                reason.contains("chmod 600") && reason.contains(&format!("{mode:04o}")),
                "{reason}"
            );
        }
    }

    #[test]
    fn what_has_no_key_is_an_error_that_does_not_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (text, expected) in [
            ("", "no private key"),
            ("# nothing\n", "no private key"),
            ("hunter2\n", "no private key"),
            ("AGE-SECRET-KEY-1HUNTER2\n", "no private key"),
            ("age-encryption.org/v1\n", "passphrase"),
            ("-----BEGIN AGE ENCRYPTED FILE-----\n", "passphrase"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "SSH"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let reason = reason(&path);
            assert!(reason.contains(expected), "{reason}");
            assert!(!reason.to_lowercase().contains("hunter2"), "{reason}");
        }
        assert!(reason(&folder.path().join("none")).contains("No such file"));
        // Without an end.
        assert!(reason(Path::new("/dev/zero")).contains("no private key"));
    }
}
