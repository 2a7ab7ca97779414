//! The options of the file that output is written to.

use std::{path::PathBuf, time::Duration};

use clap::{Args, builder::RangedU64ValueParser, error::ErrorKind};

use crate::log_file::{Compression, Keep, Rotate, Rotation, parse_age, parse_bytes};

/// Where output goes, if not to stdout, and what becomes of a file that grows.
#[derive(Args, Debug)]
pub(super) struct FileArgs {
    /// Write to this file instead of stdout; SIGHUP reopens it
    #[arg(short = 'w', long = "write", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Append to the file, instead of emptying it at the start
    #[arg(long, requires = "file")]
    pub(super) append: bool,
    /// Rename the file and begin a new one before it is larger than a size such as 100MiB, or after a time such as 1h; may be
    /// given twice
    #[arg(long, value_name = "SIZE|DURATION", requires = "file")]
    pub(super) rotate: Vec<Rotate>,
    /// Keep this many renamed files, and remove older ones
    #[arg(
        long, value_name = "COUNT", requires = "rotate",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..)
    )]
    pub(super) keep: Option<usize>,
    /// Remove renamed files after this time, such as 30d
    #[arg(long, value_name = "DURATION", requires = "rotate", value_parser = parse_age)]
    pub(super) keep_for: Option<Duration>,
    /// Remove the oldest renamed files when all of them together are larger than this, such as 10GiB
    #[arg(long, value_name = "SIZE", requires = "rotate", value_parser = parse_bytes)]
    pub(super) keep_bytes: Option<u64>,
    /// Compress renamed files
    #[arg(long, value_name = "FORMAT", requires = "rotate")]
    pub(super) compress: Option<Compression>,
}

impl FileArgs {
    /// Returns what becomes of a file that grows; if `verbose`, it is said which files are removed.
    pub(super) fn rotation(&self, verbose: bool) -> Rotation {
        Rotation {
            when: self.rotate.clone(),
            keep: Keep {
                count: self.keep,
                age: self.keep_for,
                bytes: self.keep_bytes,
            },
            compression: self.compress,
            verbose,
        }
    }

    /// Checks that a document, which is one file, is neither rotated nor appended to.
    pub(super) fn check(&self, is_document: bool) -> Result<(), clap::Error> {
        if is_document && (!self.rotate.is_empty() || self.append) {
            let message = "an archive is one document: --rotate and --append need another --output";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n")));
        }
        Ok(())
    }
}
