//! Decrypts what a tape is read from.

use std::{
    cell::Cell,
    io::{self, Read},
    path::PathBuf,
    rc::Rc,
};

use age::{DecryptError, Decryptor, Identity};
use anyhow::{Result, bail};

use super::identities::{self, IdentityArgs};
use crate::limits::MAX_ENCRYPTION_HEADER_BYTES;

/// How every file of age begins.
const BEGIN: &[u8] = b"age-encryption.org/v1\n";

/// Returns what is decrypted with the keys of these files, or the input as it is if it is not encrypted.
pub(crate) fn decrypted(input: Box<dyn Read>, keys: &IdentityArgs) -> Result<Box<dyn Read>> {
    open(input, &keys.files)
}

fn open(mut input: Box<dyn Read>, keys: &[PathBuf]) -> Result<Box<dyn Read>> {
    let mut begin = Vec::new();
    input.by_ref().take(BEGIN.len() as u64).read_to_end(&mut begin)?;
    let is_encrypted = begin == BEGIN;
    let input = io::Cursor::new(begin).chain(input);
    if !is_encrypted {
        return Ok(Box::new(input));
    }
    if keys.is_empty() {
        bail!("the tape is encrypted; give the file of a key that opens it with --identity FILE");
    }
    let keys = identities::read(keys)?;
    let left = Rc::new(Cell::new(Some(MAX_ENCRYPTION_HEADER_BYTES)));
    let bounded = Bounded {
        input,
        left: Rc::clone(&left),
    };
    let decryptor = Decryptor::new_buffered(io::BufReader::new(bounded)).map_err(|error| reason(&error))?;
    if decryptor.is_scrypt() {
        bail!("the tape is encrypted with a passphrase, not to a key; decrypt it first with age -d");
    }
    let opened = decryptor.decrypt(keys.iter().map(|key| -> &dyn Identity { &**key }));
    let opened = opened.map_err(|error| reason(&error))?;
    left.set(None);
    Ok(Box::new(opened))
}

/// Returns why a tape cannot be opened.
fn reason(error: &DecryptError) -> anyhow::Error {
    match error {
        DecryptError::NoMatchingKeys => {
            anyhow::anyhow!("the tape is encrypted to other keys than those of --identity")
        }
        DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            anyhow::anyhow!("the tape is cut short")
        }
        DecryptError::InvalidMac | DecryptError::DecryptionFailed => {
            anyhow::anyhow!("the beginning of the encrypted tape was changed")
        }
        DecryptError::Io(_)
        | DecryptError::InvalidHeader
        | DecryptError::UnknownFormat
        | DecryptError::ExcessiveWork { .. }
        | DecryptError::KeyDecryptionFailed => anyhow::anyhow!("the beginning of the encrypted tape is damaged"),
    }
}

/// A reader of a limited number of bytes, until the limit is lifted: a header has no end of its own.
struct Bounded<R> {
    input: R,
    left: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.left.get() else {
            return self.input.read(buffer);
        };
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the header is too long"));
        }
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.left.set(Some(left.saturating_sub(read as u64)));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        io::Write as _,
        os::unix::fs::PermissionsExt as _,
        path::Path,
    };

    use age::{Encryptor, secrecy::ExposeSecret as _, x25519};

    use super::*;

    fn key(folder: &Path) -> (x25519::Identity, PathBuf) {
        let key = x25519::Identity::generate();
        let path = folder.join("key");
        fs::write(&path, key.to_string().expose_secret()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        (key, path)
    }

    fn encrypt(plain: &[u8], to: &[&x25519::Recipient]) -> Vec<u8> {
        let recipients = to.iter().copied().map(|recipient| -> &dyn age::Recipient { recipient });
        let mut sealed = Vec::new();
        let mut writer = Encryptor::with_recipients(recipients)
            .unwrap()
            .wrap_output(&mut sealed)
            .unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap();
        sealed
    }

    /// Returns what can be read, and how that ended.
    fn read(sealed: &[u8], keys: &[PathBuf]) -> (Vec<u8>, Result<()>) {
        let mut plain = Vec::new();
        let input = match open(Box::new(io::Cursor::new(sealed.to_vec())), keys) {
            Ok(input) => input,
            Err(error) => return (plain, Err(error)),
        };
        let end = { input }.read_to_end(&mut plain);
        (plain, end.map(drop).map_err(Into::into))
    }

    #[test]
    fn what_is_not_encrypted_is_read_as_it_is() {
        for plain in [
            &b""[..],
            b"a",
            b"age-encryption.org/v2\n",
            b"TLSTAPE\nabc",
            BEGIN.split_last().unwrap().1,
        ] {
            let (read, end) = read(plain, &[]);
            assert!(end.is_ok());
            assert_eq!(read, plain);
        }
    }

    #[test]
    fn a_chunk_that_is_whole_can_be_read_and_nothing_else_ever_is() {
        let folder = tempfile::tempdir().unwrap();
        let (key, path) = key(folder.path());
        let plain: Vec<u8> = (0..3 * 65_536 + 100_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let sealed = encrypt(&plain, &[&key.to_public()]);
        let (whole, end) = read(&sealed, std::slice::from_ref(&path));
        assert!(end.is_ok() && whole == plain);
        let header = sealed.len() - (plain.len() + 4 * 16);
        // At and around each boundary, and within the header.
        let boundaries = (0..=3).map(|chunk| header + chunk * (65_536 + 16));
        let near = boundaries.flat_map(|at| at.saturating_sub(2)..at + 3).chain(0..header);
        for cut in near.filter(|cut| *cut > BEGIN.len()) {
            let (part, end) = read(&sealed[..cut], std::slice::from_ref(&path));
            assert!(end.is_err(), "{cut}");
            assert_eq!(part.len(), cut.saturating_sub(header) / (65_536 + 16) * 65_536, "{cut}");
            assert!(plain.starts_with(&part), "{cut}");
        }
        for at in (BEGIN.len()..sealed.len()).step_by(997) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let (part, end) = read(&changed, std::slice::from_ref(&path));
            assert!(end.is_err(), "{at}");
            assert!(plain.starts_with(&part) && part.len() <= at, "{at}");
        }
    }

    #[test]
    fn a_small_tape_that_is_cut_or_changed_at_any_byte_gives_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (key, path) = key(folder.path());
        let sealed = encrypt(b"TLSTAPE and a few bytes more", &[&key.to_public()]);
        for at in BEGIN.len()..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            for hostile in [&sealed[..at], &changed] {
                let (part, end) = read(hostile, std::slice::from_ref(&path));
                assert!(end.is_err() && part.is_empty(), "{at}");
            }
        }
    }

    #[test]
    fn each_way_not_to_open_a_tape_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = key(folder.path());
        let other = x25519::Identity::generate();
        let sealed = encrypt(b"x", &[&other.to_public()]);
        let reason = |sealed: &[u8], keys: &[PathBuf]| format!("{:#}", read(sealed, keys).1.unwrap_err());
        assert!(reason(&sealed, &[]).contains("--identity FILE"));
        assert!(reason(&sealed, std::slice::from_ref(&path)).contains("other keys"));
        let with_passphrase = {
            let mut sealed = Vec::new();
            let mut recipient = age::scrypt::Recipient::new("hunter2".to_owned().into());
            recipient.set_work_factor(2);
            let recipients = std::iter::once(&recipient).map(|recipient| -> &dyn age::Recipient { recipient });
            let mut writer = Encryptor::with_recipients(recipients)
                .unwrap()
                .wrap_output(&mut sealed)
                .unwrap();
            writer.write_all(b"x").unwrap();
            writer.finish().unwrap();
            sealed
        };
        assert!(reason(&with_passphrase, &[path]).contains("passphrase"));
    }

    #[test]
    fn a_header_without_an_end_is_not_read_to_it() {
        struct Endless(Rc<Cell<u64>>);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let begin = self.0.get();
                for (byte, place) in buffer.iter_mut().zip(begin..) {
                    let stanza = [&b"-> X25519 AAAA\n"[..], &[b'A'; 60], b"\n"].concat();
                    let place = usize::try_from(place).map_err(io::Error::other)?;
                    *byte = match place.checked_sub(BEGIN.len()) {
                        None => BEGIN[place],
                        Some(place) => stanza[place % stanza.len()],
                    };
                }
                self.0.set(begin + buffer.len() as u64);
                Ok(buffer.len())
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = key(folder.path());
        let read = Rc::new(Cell::new(0));
        let opened = open(Box::new(Endless(Rc::clone(&read))), &[path]);
        assert!(opened.is_err());
        assert!(
            read.get() <= MAX_ENCRYPTION_HEADER_BYTES + BEGIN.len() as u64,
            "{}",
            read.get()
        );
    }
}
