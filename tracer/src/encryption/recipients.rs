//! Whom a tape is encrypted to.

use std::{
    fs::File,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use age::{Encryptor, stream::StreamWriter, x25519::Recipient};
use clap::{Args, error::ErrorKind};

use crate::limits::{MAX_KEY_FILE_BYTES, MAX_RECIPIENTS};

/// Whom a tape is encrypted to.
#[derive(Args, Debug)]
pub(crate) struct RecipientArgs {
    /// Encrypt the tape to this public key of age (age1...), as `age-keygen` prints it; may be repeated: any of their keys opens it
    #[arg(short = 'r', long = "recipient", value_name = "KEY")]
    recipients: Vec<String>,
    /// Encrypt the tape to the public keys in this file, one a line; may be repeated
    #[arg(short = 'R', long = "recipients-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Public keys.
pub(crate) struct Recipients(Vec<Recipient>);

impl RecipientArgs {
    /// Checks the keys, and reads the files.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let checked = self.recipients().map(drop);
        checked.map_err(|message| clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n")))
    }

    /// Returns the keys; `None` if the tape is not to be encrypted.
    pub(crate) fn recipients(&self) -> Result<Option<Recipients>, String> {
        let mut all = Vec::new();
        for word in &self.recipients {
            all.push(parse(word).map_err(|error| format!("--recipient: {error}"))?);
        }
        for path in &self.files {
            let in_file = |error: String| format!("--recipients-file {}: {error}", path.display());
            let before = all.len();
            all.extend(read(path).map_err(in_file)?);
            if all.len() == before {
                return Err(in_file("there is no key in it".to_owned()));
            }
        }
        if all.len() > MAX_RECIPIENTS {
            return Err(format!("a tape has up to {MAX_RECIPIENTS} recipients"));
        }
        Ok(Some(all).filter(|all| !all.is_empty()).map(Recipients))
    }
}

/// Parses a public key. The error never has the word: it may be a private key.
fn parse(word: &str) -> Result<Recipient, String> {
    word.parse().map_err(|reason: &str| {
        let what = if word.trim_start().to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            "this is a private key, which belongs to --identity of replay; its public key is in the line above it in its file"
        } else if word.starts_with("ssh-") {
            "keys of SSH are not supported; `age-keygen` makes a key of age"
        } else if word.starts_with("age1") {
            return format!("this is no public key of age for X25519: {reason}");
        } else {
            "wanted a public key of age, which begins with age1"
        };
        what.to_owned()
    })
}

/// Reads a file with a key a line, in which lines that are empty or begin with a number sign have none.
fn read(path: &Path) -> Result<Vec<Recipient>, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| error.to_string())?;
    let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), number));
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| parse(line).map_err(|error| format!("line {number}: {error}")))
        .collect()
}

impl Recipients {
    /// Returns how many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Writes the header of an encrypted file; what is written to the result is encrypted, and is whole once that is finished.
    pub(crate) fn encrypt<W: Write>(&self, to: W) -> io::Result<StreamWriter<W>> {
        let recipients = self.0.iter().map(|recipient| -> &dyn age::Recipient { recipient });
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        encryptor.wrap_output(to)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use age::{secrecy::ExposeSecret as _, x25519::Identity};

    use super::*;

    fn arguments(recipients: &[&str], files: &[&Path]) -> RecipientArgs {
        RecipientArgs {
            recipients: recipients.iter().map(ToString::to_string).collect(),
            files: files.iter().map(|path| path.to_path_buf()).collect(),
        }
    }

    #[test]
    fn keys_come_from_words_and_from_files() {
        let key = || Identity::generate().to_public().to_string();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        fs::write(&file, format!("# a comment\n\n{}\n  {}\n", key(), key())).unwrap();
        let all = arguments(&[&key()], &[&file]).recipients().unwrap().unwrap();
        assert_eq!(all.count(), 3);
        assert!(arguments(&[], &[]).recipients().unwrap().is_none());
    }

    #[test]
    fn what_is_no_public_key_is_an_error_that_does_not_repeat_it() {
        let private = Identity::generate().to_string().expose_secret().to_owned();
        for (word, reason) in [
            (private.as_str(), "private key"),
            (&private.to_lowercase(), "private key"),
            ("ssh-ed25519 AAAAC3Nz", "SSH"),
            ("age1hunter2", "no public key"),
            ("hunter2", "begins with age1"),
            ("", "begins with age1"),
        ] {
            let error = arguments(&[word], &[]).recipients().err().unwrap();
            assert!(error.contains(reason), "{error}");
            assert!(word.len() < 7 || !error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_file_without_keys_or_with_others_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        for (text, reason) in [
            ("# none\n", "no key"),
            ("\n# x\nhunter2\n", "line 3"),
            ("\u{0}", "line 1"),
        ] {
            fs::write(&file, text).unwrap();
            let error = arguments(&[], &[&file]).recipients().err().unwrap();
            assert!(error.contains(reason), "{error}");
        }
        let error = arguments(&[], &[&folder.path().join("none")])
            .recipients()
            .err()
            .unwrap();
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn there_are_no_more_recipients_than_a_reader_accepts() {
        let key = Identity::generate().to_public().to_string();
        let most = vec![key.as_str(); MAX_RECIPIENTS];
        assert!(arguments(&most, &[]).recipients().is_ok());
        let more = vec![key.as_str(); MAX_RECIPIENTS + 1];
        assert!(arguments(&more, &[]).recipients().is_err());
    }
}
