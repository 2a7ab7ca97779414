//! The file of a tape, encrypted or not.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use age::stream::StreamWriter;

use super::recipients::Recipients;

/// The file of a tape. Only [`Self::finish`] makes an encrypted one whole.
pub(crate) enum TapeFile {
    /// It has plaintext.
    Plain(BufWriter<File>),
    /// It is encrypted.
    Encrypted(StreamWriter<BufWriter<File>>),
}

impl TapeFile {
    /// Begins a file that is encrypted, if there are recipients.
    pub(crate) fn begin(file: BufWriter<File>, recipients: Option<&Recipients>) -> io::Result<Self> {
        Ok(match recipients {
            Some(recipients) => Self::Encrypted(recipients.encrypt(file)?),
            None => Self::Plain(file),
        })
    }

    /// Writes the last chunk.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Encrypted(file) => file.finish()?.flush(),
        }
    }
}

impl Write for TapeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted(file) => file.write(bytes),
        }
    }

    /// Flushes whole chunks: of an encrypted file, what follows them is still in memory.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted(file) => file.flush(),
        }
    }
}
