//! Tapes: files of captured records, which can be replayed without a kernel and without root.
//!
//! A tape begins with a magic number, a version, and a JSON header. The header has the sizes of the records, so that a tape of
//! another ABI is an error. Frames follow, each a kind (one byte), a length (32 bits, little-endian), and that many bytes.
//! A tape holds plaintext, so only its owner can read it, and it never replaces an existing file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use thiserror::Error as ThisError;
use tracer_ebpf::{
    ConnectionRecord, DataRecord, EndRecord, LARGEST_CLASS, MAX_SITES, PassedRecord, ProcessRecord, RecordHeader,
    SocketRecord, TlsRecord,
};

use crate::{
    batch::{Batch, Header, SiteEntry, Totals},
    limits::{MAX_BATCH_BYTES, MAX_TAPE_HEADER_BYTES},
};

const MAGIC: &[u8; 8] = b"TLSTAPE\n";
const VERSION: u32 = 3;

/// A version whose batches have no watermark.
const VERSION_WITHOUT_WATERMARK: u32 = 2;

/// The watermark of such a batch is this much before its drain.
const SETTLE_NS: u64 = 30_000_000;

/// Number of sizes in the first tapes of this version.
const OLDEST_SIZES: usize = 8;

const FRAME_RECORD: u8 = 1;
/// Ends a batch.
const FRAME_MARK: u8 = 3;
const FRAME_TOTALS: u8 = 4;
const FRAME_SITE: u8 = 5;

/// Why a tape could not be written or read.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The file could not be opened, read or written.
    #[error("the tape could not be read or written")]
    Io(#[from] io::Error),
    /// The file exists.
    #[error("there is such a file already, and a tape is never written over another file")]
    Exists,
    /// The file is not a tape.
    #[error("not a tape of tlscope")]
    NotATape,
    /// The tape was written by another version.
    #[error("the tape is of version {0}, this tlscope reads version {VERSION}")]
    Version(u32),
    /// The tape's records have another layout.
    #[error("the tape's records are of another layout {found:?}, this tlscope reads {expected:?}")]
    Abi {
        /// The sizes in the tape.
        found: Vec<usize>,
        /// The sizes of this binary.
        expected: Vec<usize>,
    },
    /// The header, a site or the totals are not valid JSON.
    #[error("the tape's header is damaged")]
    Header(#[source] serde_json::Error),
    /// The tape ends in the middle of a frame.
    #[error("the tape is cut short")]
    Cut,
    /// A frame has an invalid kind or length.
    #[error("the tape is damaged")]
    Damaged,
    /// What the tape is read from decrypts it, and the next part is not what was written.
    #[error("the tape is cut short or was changed: its next part cannot be decrypted")]
    Unauthentic,
}

/// Returns [`Header::abi`] of this binary.
fn abi() -> Vec<usize> {
    vec![
        size_of::<RecordHeader>(),
        size_of::<DataRecord>(),
        size_of::<ConnectionRecord>(),
        size_of::<EndRecord>(),
        size_of::<ProcessRecord>(),
        size_of::<SocketRecord>(),
        size_of::<TlsRecord>(),
        LARGEST_CLASS,
        size_of::<PassedRecord>(),
    ]
}

/// Returns whether a tape with these sizes can be read. It may lack the kinds that were added after it was recorded.
fn is_compatible(sizes: &[usize]) -> bool {
    sizes.len() >= OLDEST_SIZES && abi().starts_with(sizes)
}

/// Writes a tape.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
}

/// Creates the file of a tape, which only its owner can read.
///
/// # Errors
///
/// [`Error::Exists`] if the file exists.
pub fn create(path: &Path) -> Result<BufWriter<File>, Error> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file {
        Ok(file) => Ok(BufWriter::new(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Exists),
        Err(error) => Err(error.into()),
    }
}

impl<W: Write> Writer<W> {
    /// Writes the header of a tape.
    pub fn new(mut out: W, header: &Header) -> Result<Self, Error> {
        let header = Header {
            abi: abi(),
            ..header.clone()
        };
        let json = serde_json::to_vec(&header).map_err(Error::Header)?;
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&length(json.len())?.to_le_bytes())?;
        out.write_all(&json)?;
        Ok(Self { out })
    }

    /// Appends a batch. An empty one is written too, because its times advance the pipeline.
    pub fn batch(&mut self, batch: &Batch) -> Result<(), Error> {
        for site in &batch.sites {
            self.frame(FRAME_SITE, &serde_json::to_vec(site).map_err(Error::Header)?)?;
        }
        for record in batch.records() {
            self.frame(FRAME_RECORD, record)?;
        }
        let Batch {
            drained_ns,
            complete_until_ns,
            boot_unix_ns,
            ..
        } = batch;
        let mark = [
            drained_ns.to_le_bytes(),
            complete_until_ns.to_le_bytes(),
            boot_unix_ns.unwrap_or(0).to_le_bytes(),
        ];
        self.frame(FRAME_MARK, mark.as_flattened())
    }

    /// Writes the end of the tape, flushes it, and returns what it was written to.
    pub fn finish(mut self, totals: Totals) -> Result<W, Error> {
        self.frame(FRAME_TOTALS, &serde_json::to_vec(&totals).map_err(Error::Header)?)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn frame(&mut self, kind: u8, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(&[kind])?;
        self.out.write_all(&length(bytes.len())?.to_le_bytes())?;
        Ok(self.out.write_all(bytes)?)
    }
}

fn length(bytes: usize) -> Result<u32, Error> {
    u32::try_from(bytes).map_err(|_overflow| Error::Damaged)
}

/// Reads a tape.
#[derive(Debug)]
pub struct Reader<R: Read> {
    input: R,
    header: Header,
    /// Number of sites read so far.
    sites: usize,
    totals: Option<Totals>,
}

impl Reader<BufReader<File>> {
    /// Opens a tape.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub fn new(mut input: R) -> Result<Self, Error> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic).map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                Error::Unauthentic
            } else {
                Error::NotATape
            }
        })?;
        if magic != *MAGIC {
            return Err(Error::NotATape);
        }
        let version = read_u32(&mut input)?;
        if ![VERSION, VERSION_WITHOUT_WATERMARK].contains(&version) {
            return Err(Error::Version(version));
        }
        let bytes = read_u32(&mut input)?;
        let json = read_bytes(&mut input, bytes, MAX_TAPE_HEADER_BYTES)?;
        let header: Header = serde_json::from_slice(&json).map_err(Error::Header)?;
        if !is_compatible(&header.abi) {
            return Err(Error::Abi {
                found: header.abi,
                expected: abi(),
            });
        }
        Ok(Self {
            input,
            sites: header.sites.len(),
            header,
            totals: None,
        })
    }

    /// Returns the header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the totals, once the end of the tape was read.
    pub const fn totals(&self) -> Option<Totals> {
        self.totals
    }

    /// Reads the next batch; `None` at the end of the tape.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        let mut batch = Batch::default();
        loop {
            let (kind, bytes) = self.frame()?;
            match kind {
                FRAME_RECORD => batch.push(&bytes),
                FRAME_SITE => batch.sites.push(self.site(&bytes)?),
                FRAME_MARK => {
                    (batch.drained_ns, batch.complete_until_ns, batch.boot_unix_ns) = mark(&bytes)?;
                    return Ok(Some(batch));
                }
                FRAME_TOTALS => {
                    self.totals = Some(serde_json::from_slice(&bytes).map_err(Error::Header)?);
                    return Ok(None);
                }
                _ => return Err(Error::Damaged),
            }
            if batch.len() > 2 * MAX_BATCH_BYTES {
                return Err(Error::Damaged);
            }
        }
    }

    /// Parses a site.
    fn site(&mut self, json: &[u8]) -> Result<SiteEntry, Error> {
        self.sites += 1;
        if self.sites > MAX_SITES {
            return Err(Error::Damaged);
        }
        serde_json::from_slice(json).map_err(Error::Header)
    }

    fn frame(&mut self) -> Result<(u8, Vec<u8>), Error> {
        let mut kind = [0];
        self.input.read_exact(&mut kind).map_err(failed)?;
        let bytes = read_u32(&mut self.input)?;
        let [kind] = kind;
        Ok((kind, read_bytes(&mut self.input, bytes, MAX_BATCH_BYTES)?))
    }
}

fn read_u32(input: &mut impl Read) -> Result<u32, Error> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes).map_err(failed)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_bytes(input: &mut impl Read, bytes: u32, limit: usize) -> Result<Vec<u8>, Error> {
    let wanted = usize::try_from(bytes)
        .ok()
        .filter(|wanted| *wanted <= limit)
        .ok_or(Error::Damaged)?;
    let mut read = Vec::new();
    input.take(bytes.into()).read_to_end(&mut read).map_err(failed)?;
    if read.len() == wanted {
        Ok(read)
    } else {
        Err(Error::Cut)
    }
}

/// Parses a mark: [`Batch::drained_ns`], [`Batch::complete_until_ns`] and [`Batch::boot_unix_ns`]. Older tapes lack the last
/// one or the last two.
fn mark(bytes: &[u8]) -> Result<(u64, u64, Option<u64>), Error> {
    let (drained_ns, rest) = bytes.split_first_chunk().ok_or(Error::Damaged)?;
    let drained_ns = u64::from_le_bytes(*drained_ns);
    if rest.is_empty() {
        return Ok((drained_ns, drained_ns.saturating_sub(SETTLE_NS), None));
    }
    let (complete_until_ns, rest) = rest.split_first_chunk().ok_or(Error::Damaged)?;
    let complete_until_ns = u64::from_le_bytes(*complete_until_ns);
    let boot_unix_ns = if rest.is_empty() {
        None
    } else {
        Some(u64::from_le_bytes(fixed(rest)?)).filter(|boot_unix_ns| *boot_unix_ns != 0)
    };
    Ok((drained_ns, complete_until_ns, boot_unix_ns))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_length| Error::Damaged)
}

/// Returns why reading failed. Only what decrypts reports invalid data.
fn failed(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        Error::Cut
    } else if error.kind() == io::ErrorKind::InvalidData {
        Error::Unauthentic
    } else {
        Error::Io(error)
    }
}

#[cfg(test)]
mod tests;
