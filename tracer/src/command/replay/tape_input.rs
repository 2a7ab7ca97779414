//! Where a tape is read from, and how far.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, BufReader, IsTerminal as _, Read, stdin},
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FileType, fstat};
use tracer_observe::tape;

/// A file with a tape, or stdin.
pub(super) struct TapeInput {
    name: String,
    input: Box<dyn Read>,
    position: Position,
}

/// How much of a tape has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Position {
    read: Arc<AtomicU64>,
    /// Size of the tape; absent if it comes from a pipe.
    size: Option<u64>,
}

impl TapeInput {
    /// Opens a file, or stdin for `-`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            ensure!(
                !stdin().is_terminal(),
                "a tape is read from stdin, which is a terminal; redirect it, as with < FILE"
            );
            return Ok(Self {
                name: "standard input".to_owned(),
                input: Box::new(stdin().lock()),
                position: Position::default(),
            });
        }
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(tape::Error::from)
            .with_context(|| name.clone())?;
        let size = file.metadata().ok().filter(Metadata::is_file);
        Ok(Self {
            name,
            input: Box::new(file),
            position: Position {
                size: size.map(|metadata| metadata.len()).filter(|size| *size > 0),
                ..Position::default()
            },
        })
    }

    /// Returns its name in messages.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Returns how much has been read, which goes on to be counted.
    pub(super) fn position(&self) -> Position {
        self.position.clone()
    }

    /// Returns what the tape is read from.
    pub(super) fn into_read(self) -> impl Read + use<> {
        BufReader::with_capacity(
            BUFFER_BYTES,
            Counted {
                input: self.input,
                read: self.position.read,
            },
        )
    }
}

/// Bytes that are read at once.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        let read = self.read.load(Ordering::Relaxed);
        match self.size {
            Some(size) => write!(
                f,
                "{} % of {} MiB",
                (read.saturating_mul(100) / size).min(100),
                size.div_ceil(MIB)
            ),
            None => write!(f, "{} MiB", read / MIB),
        }
    }
}

/// Returns whether output goes where nobody looks at it while it is written: a terminal, and a pipe to a pager, would have a
/// status line in between.
pub(super) fn is_file(output: impl AsFd) -> bool {
    let kind = fstat(output.as_fd()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(FileType::RegularFile) => true,
        Ok(FileType::CharacterDevice) => !output.as_fd().is_terminal(),
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_a_share_of_a_file_and_a_number_of_a_pipe() {
        let read = Arc::new(AtomicU64::new(3 << 20));
        let position = |size| Position {
            read: Arc::clone(&read),
            size,
        };
        assert_eq!(position(Some(12 << 20)).to_string(), "25 % of 12 MiB");
        assert_eq!(position(Some(1)).to_string(), "100 % of 1 MiB");
        assert_eq!(position(None).to_string(), "3 MiB");
    }

    #[test]
    fn what_is_read_is_counted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 100_000]).unwrap();
        let input = TapeInput::open(file.path()).unwrap();
        let position = input.position();
        let mut bytes = Vec::new();
        input.into_read().read_to_end(&mut bytes).unwrap();
        assert_eq!(
            (bytes.len(), position.to_string()),
            (100_000, "100 % of 1 MiB".to_owned())
        );
    }

    #[test]
    fn only_a_file_and_the_null_device_are_free_for_a_status_line() {
        assert!(is_file(File::open("/dev/null").unwrap()));
        assert!(is_file(tempfile::tempfile().unwrap()));
        let (reader, _writer) = io::pipe().unwrap();
        assert!(!is_file(reader));
    }
}
