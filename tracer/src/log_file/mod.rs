//! The file of `-w`: lines are appended to it, and it can be rotated, reopened, and full.
//!
//! A full disk is not the end: what does not fit is dropped and counted, and no half line stays in the file. Lines are written
//! again as soon as there is room.

mod compression;
mod size;
mod names;
mod keep;
mod rotate;
mod compress;
mod lost;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use jiff::Timestamp;

use self::{compress::Compressor, names::Rotated};
pub(crate) use self::{
    compression::Compression,
    keep::{Keep, parse_age, parse_bytes},
    lost::{Lost, LostLines},
    rotate::{Rotate, Rotation},
};
use crate::{messages::say, private_file};

/// How long to wait before what failed is tried again: a rename, or opening a file.
const RETRY: Duration = Duration::from_mins(1);

/// A file of lines.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether it is a regular file: only such a one can be cut, rotated or reopened.
    is_regular: bool,
    /// Whether it can be reopened. A document cannot: it is one file.
    #[cfg_attr(not(feature = "live"), expect(dead_code, reason = "a signal to a trace reopens it"))]
    reopens: bool,
    rotation: Rotation,
    compressor: Option<Compressor>,
    /// Bytes in the file.
    size: u64,
    opened: Instant,
    /// When to look for rotated files that are too old the next time; `None` if none ever are.
    next_tick: Option<Instant>,
    /// Whether it was said that a file cannot be removed.
    removing_failed: bool,
    /// When rotating is tried again after it failed.
    retry: Option<Instant>,
    full: Option<Full>,
    lost: Lost,
}

/// A disk that is full.
#[derive(Debug, Default)]
struct Full {
    /// Lines dropped since it is.
    lost: u64,
}

impl LogFile {
    /// Creates the file, or empties it. With a rotation, a file of an earlier run is renamed and kept.
    pub(crate) fn create(path: &Path, rotation: Rotation, reopens: bool) -> Result<Self> {
        let file = if rotation.is_wanted() {
            private_file::append(path)?
        } else {
            private_file::create(path)?
        };
        let mut log = Self::over(path, file, rotation, reopens)?;
        log.begin(true);
        Ok(log)
    }

    /// Creates the file, or appends to it.
    pub(crate) fn append(path: &Path, rotation: Rotation, reopens: bool) -> Result<Self> {
        let mut log = Self::over(path, private_file::append(path)?, rotation, reopens)?;
        log.begin(false);
        Ok(log)
    }

    fn over(path: &Path, file: File, rotation: Rotation, reopens: bool) -> Result<Self> {
        let metadata = file.metadata()?;
        let is_regular = metadata.is_file();
        ensure!(
            is_regular || !rotation.is_wanted(),
            "{} cannot be rotated: it is not a regular file",
            path.display()
        );
        // The file itself is renamed, not a link to it.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let next_tick = rotation.keep.interval().map(|interval| Instant::now() + interval);
        let compressor = rotation.compression.map(Compressor::start).transpose()?;
        Ok(Self {
            path,
            file,
            is_regular,
            reopens: reopens && is_regular,
            rotation,
            compressor,
            size: if is_regular { metadata.len() } else { 0 },
            opened: Instant::now(),
            next_tick,
            removing_failed: false,
            retry: None,
            full: None,
            lost: Lost::default(),
        })
    }

    /// Returns the count of lines that are dropped because the disk is full.
    pub(crate) fn lost(&self) -> Lost {
        self.lost.clone()
    }

    /// Returns whether it can be reopened.
    #[cfg(feature = "live")]
    pub(crate) const fn reopens(&self) -> bool {
        self.reopens
    }

    /// Opens the file of this name anew, which may be another one now: whoever rotated it renamed the old one.
    #[cfg(feature = "live")]
    pub(crate) fn reopen(&mut self) {
        if self.reopens && self.open_again() {
            say(&format!("{} is reopened", self.path.display()));
        }
    }

    /// Writes whole lines of these lengths. Those for which the disk has no room are dropped and counted.
    pub(crate) fn write(&mut self, lines: &[u8], lengths: &[usize]) -> io::Result<()> {
        let (mut lines, mut lengths) = (lines, lengths);
        self.tick();
        while let Some(first) = lengths.first() {
            let room = self.make_room(*first);
            let (bytes, count) = whole_lines(lengths, room);
            // A line that is larger than a file may be has a file of its own.
            let (bytes, count) = if count == 0 { (*first, 1) } else { (bytes, count) };
            let (part, rest) = lines.split_at_checked(bytes).unwrap_or((lines, &[]));
            let (lengths_of_part, other) = lengths.split_at_checked(count).unwrap_or((lengths, &[]));
            self.write_part(part, lengths_of_part)?;
            (lines, lengths) = (rest, other);
        }
        Ok(())
    }

    fn write_part(&mut self, lines: &[u8], lengths: &[usize]) -> io::Result<()> {
        let (written, error) = write_most(&mut self.file, lines);
        self.size += to_u64(written);
        match error {
            None => {
                self.recover();
                Ok(())
            }
            Some(error) if self.is_regular && is_full(&error) => {
                let (whole, count) = whole_lines(lengths, written);
                self.cut(written - whole)?;
                self.drop_lines(&error, lengths.len() - count);
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    /// Finishes what an earlier run did not, and renames its file if this one begins anew.
    fn begin(&mut self, is_new: bool) {
        if !self.rotation.is_wanted() {
            return;
        }
        Rotated::remove_parts(&self.path);
        if is_new && self.size > 0 {
            self.rotate();
        }
        self.remove_old();
        if let Some(compressor) = &self.compressor {
            for plain in Rotated::all(&self.path).into_iter().filter(Rotated::is_plain) {
                compressor.compress(plain.path);
            }
        }
    }

    /// Rotates the file if that is due before so many bytes are added to it. Returns how many it then has room for.
    fn make_room(&mut self, coming: usize) -> usize {
        let is_due = |log: &Self| log.rotation.is_due(log.size, to_u64(coming), log.opened.elapsed());
        let may_try = self.retry.is_none_or(|retry| Instant::now() >= retry);
        if may_try && is_due(self) {
            self.rotate();
        }
        // A file that cannot be rotated grows.
        let room = if is_due(self) {
            u64::MAX
        } else {
            self.rotation.room(self.size)
        };
        room.try_into().unwrap_or(usize::MAX)
    }

    /// Renames the file, and continues with a new one. If that fails, it continues with the old one.
    fn rotate(&mut self) {
        self.retry = None;
        let renamed = match Rotated::rename(&self.path) {
            Ok(renamed) => renamed,
            Err(error) => {
                say(&format!("{} cannot be renamed: {error}", self.path.display()));
                self.retry = Some(Instant::now() + RETRY);
                return;
            }
        };
        if !self.open_again() {
            return;
        }
        if let (Some(compressor), Some(renamed)) = (&self.compressor, renamed) {
            compressor.compress(renamed);
        }
        self.remove_old();
    }

    /// Returns how often [`Self::tick`] wants to be called, lines or not; `None` if never.
    #[cfg(feature = "live")]
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.rotation.keep.interval()
    }

    /// Removes rotated files that have become too old, if that is due.
    pub(crate) fn tick(&mut self) {
        if self.next_tick.is_some_and(|due| Instant::now() >= due) {
            self.remove_old();
        }
    }

    /// Removes the rotated files beyond the bounds.
    fn remove_old(&mut self) {
        let keep = &self.rotation.keep;
        self.next_tick = keep.interval().map(|interval| Instant::now() + interval);
        let mut removed = keep.apply(&self.path, Timestamp::now());
        if let Some(failed) = removed.failed.take()
            && !std::mem::replace(&mut self.removing_failed, true)
        {
            say(&failed);
        }
        if self.rotation.verbose && removed.files > 0 {
            say(&format!("{}: {removed}", self.path.display()));
        }
    }

    /// Returns whether the file could be opened. If not, lines still go to the old one.
    fn open_again(&mut self) -> bool {
        let opened = private_file::append(&self.path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((size, file)) => {
                (self.file, self.size) = (file, size);
                self.opened = Instant::now();
                true
            }
            Err(error) => {
                say(&format!("{error:#}"));
                self.retry = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    /// Removes the last bytes: the begin of a line that is dropped.
    fn cut(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > 0 {
            // Not what was counted: somebody may have truncated it.
            let size = self.file.metadata()?.len().saturating_sub(to_u64(bytes));
            self.file.set_len(size)?;
            self.size = size;
        }
        Ok(())
    }

    fn drop_lines(&mut self, error: &io::Error, count: usize) {
        if self.full.is_none() {
            let path = self.path.display();
            say(&format!(
                "{path} cannot be written: {error}; lines are dropped, and counted, until there is room"
            ));
        }
        self.full.get_or_insert_default().lost += to_u64(count);
    }

    /// Takes note that there is room again.
    fn recover(&mut self) {
        if let Some(Full { lost }) = self.full.take() {
            say(&format!("{} is written again, {}", self.path.display(), dropped(lost)));
            // Only now can a line of health say it.
            self.lost.add(lost);
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        if let Some(Full { lost }) = self.full.take() {
            say(&format!("{}: {}, for lack of room", self.path.display(), dropped(lost)));
        }
    }
}

fn dropped(lines: u64) -> String {
    format!("{lines} {} dropped", if lines == 1 { "line was" } else { "lines were" })
}

/// Writes as much as possible; returns how much that was, and why it was not all.
fn write_most(file: &mut impl io::Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

/// Returns how many bytes and how many lines are whole within the first `written` bytes of lines of these lengths.
fn whole_lines(lengths: &[usize], written: usize) -> (usize, usize) {
    let mut whole = 0;
    let mut count = 0;
    for length in lengths {
        if whole + length > written {
            break;
        }
        whole += length;
        count += 1;
    }
    (whole, count)
}

/// Returns whether an error says that there is no room: of the disk, of a quota, or of the limit on a file.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn to_u64(size: usize) -> u64 {
    size.try_into().unwrap_or(u64::MAX)
}
