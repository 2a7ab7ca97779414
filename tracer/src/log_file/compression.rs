//! The formats of compressed files.

/// How files are compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The endings of the names of compressed files.
    pub(super) const ENDINGS: [&'static str; 2] = [".gz", ".zst"];

    /// Returns the ending of a name without its dot.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Zstd => "zst",
        }
    }
}

/// The end of the name of a file that is not finished.
pub(super) const PART: &str = ".part";
