//! Opens and reads the executable files that a process maps.
//!
//! A file is opened through `/proc/PID/map_files`, which refers to the mapped file even if it lies in another mount
//! namespace or was replaced or deleted on disk.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    ops::Range,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use procfs::process::{MMPermissions, MMapPath, MemoryMap, MemoryMaps};

use symbolizer::{Unread, sieve};

use super::Error;
use crate::limits::{MAX_HEADERS, MAX_IMAGE_BYTES, MAX_PROGRAM_HEADERS};

/// An executable file that a process maps, or may map later.
#[derive(Debug)]
pub struct MappedObject {
    /// The path in the mount namespace of the process.
    pub path: PathBuf,
    /// The open file, so that the file that is probed is the one that was analysed.
    pub file: File,
    /// Identifies the file.
    pub identity: FileIdentity,
    /// Identifies its contents.
    pub version: FileVersion,
    /// The mappings of code and of read-only data.
    mappings: Vec<Mapping>,
}

/// Identifies the contents of a file: two files with equal versions are taken to be equal.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileVersion {
    identity: FileIdentity,
    bytes: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
}

/// A range of a file in the memory of a process.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
}

/// Identifies a file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileIdentity {
    /// Device number.
    pub device: u64,
    /// Inode number on the device.
    pub inode: u64,
}

impl MappedObject {
    /// Creates an object without mappings; `None` if it is not a regular file.
    pub(crate) fn unmapped(path: PathBuf, file: File) -> Option<Self> {
        Self::new(path, file, Vec::new())
    }

    fn new(path: PathBuf, file: File, mappings: Vec<Mapping>) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        let identity = FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        let version = FileVersion {
            identity,
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        };
        metadata.is_file().then_some(Self {
            path,
            file,
            identity,
            version,
            mappings,
        })
    }

    /// Returns the address at which the process maps a file offset.
    pub(super) fn address_of(&self, offset: u64) -> Option<u64> {
        self.mappings.iter().find_map(|mapping| {
            let into = offset.checked_sub(mapping.offset)?;
            (into < mapping.end.saturating_sub(mapping.start)).then(|| mapping.start.saturating_add(into))
        })
    }

    /// Reads the file with [`read_image`].
    pub fn read(&self) -> Result<PartImage, Error> {
        read_image(&self.file, &self.path)
    }

    /// Reads the parts of the file that an analysis asked for. Returns whether there are any; then the analysis has to be
    /// repeated.
    pub fn read_wanted(&self, image: &mut PartImage) -> Result<bool, Error> {
        let wanted = image.unread.take_wanted();
        for range in &wanted {
            let read = read_at(&self.file, &mut image.bytes, range.clone());
            read.map_err(|source| Error::Read {
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(!wanted.is_empty())
    }
}

/// An image of which parts were not read from its file.
#[derive(Debug)]
pub struct PartImage {
    /// The bytes of the file, with zeros for those that were not read.
    pub bytes: Vec<u8>,
    /// The parts that were not read.
    pub unread: Unread,
}

/// Bytes of a large data section that are read at once.
const PIECE: usize = 256 * 1024;

/// Reads a file. Large data sections are zero except for the strings that the analysis searches for, which saves memory;
/// [`MappedObject::read_wanted`] reads what else of them the analysis needs.
/// The file is not mapped, because a mapping raises `SIGBUS` if the file is truncated.
///
/// # Errors
///
/// Fails if the file cannot be read or is larger than [`MAX_IMAGE_BYTES`].
pub fn read_image(file: &File, path: &Path) -> Result<PartImage, Error> {
    let failed = |source| Error::Read {
        path: path.to_path_buf(),
        source,
    };
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > MAX_IMAGE_BYTES {
        return Err(Error::TooLarge {
            path: path.to_path_buf(),
            bytes,
        });
    }
    // Zeroed pages take no memory until they are written.
    let mut image = vec![0; usize::try_from(bytes).unwrap_or(0)];
    let mut at = 0;
    let sections = data_sections(file, bytes).unwrap_or_default();
    for section in &sections {
        read_at(file, &mut image, at..section.start).map_err(failed)?;
        read_marks(file, &mut image, section).map_err(failed)?;
        at = section.end;
    }
    read_at(file, &mut image, at..bytes).map_err(failed)?;
    Ok(PartImage {
        bytes: image,
        unread: Unread::new(sections),
    })
}

/// Reads what matters of a file that holds the symbols of another. The rest is zeros, which take no memory. `None` if it holds
/// none, or is larger than [`MAX_IMAGE_BYTES`].
pub(super) fn read_symbols(file: &File) -> Option<Vec<u8>> {
    let bytes = file.metadata().ok()?.len();
    let sections = Sections::read(file, bytes.min(MAX_IMAGE_BYTES))?;
    let of_symbols = sieve::symbol_sections(&sections.table);
    let program_headers = 0..MAX_PROGRAM_HEADERS.min(bytes);
    let parts = [program_headers, sections.table_at, sections.names_at];
    let mut image = vec![0; usize::try_from(bytes).ok()?];
    for part in parts.into_iter().chain(of_symbols) {
        read_at(file, &mut image, part).ok()?;
    }
    Some(image)
}

/// Returns the file ranges of large data sections; `None` if the headers are invalid, and the whole file is read.
fn data_sections(file: &File, bytes: u64) -> Option<Vec<Range<u64>>> {
    let headers = Sections::read(file, bytes)?;
    let mut sections = sieve::data_sections(&headers.table, &headers.names);
    sections.retain(|section| section.end <= bytes);
    Some(sections)
}

/// The section headers of a file, and the names of its sections.
struct Sections {
    table: Vec<u8>,
    table_at: Range<u64>,
    names: Vec<u8>,
    names_at: Range<u64>,
}

impl Sections {
    /// Reads them if they lie within the first `bytes` of a file, and are not too large.
    fn read(file: &File, bytes: u64) -> Option<Self> {
        let read = |range: &Range<u64>| {
            let mut part = vec![0; usize::try_from(range.end.checked_sub(range.start)?).ok()?];
            file.read_exact_at(&mut part, range.start).ok()?;
            Some(part)
        };
        let is_small = |range: &Range<u64>| range.end <= bytes && range.end.saturating_sub(range.start) <= MAX_HEADERS;
        let header = read(&(0..sieve::HEADER_BYTES.try_into().ok()?))?;
        let table_at = sieve::section_table(&header).filter(is_small)?;
        let table = read(&table_at)?;
        let names_at = sieve::section_names(&header, &table).filter(is_small)?;
        Some(Self {
            names: read(&names_at)?,
            names_at,
            table,
            table_at,
        })
    }
}

fn read_at(file: &File, image: &mut [u8], range: Range<u64>) -> io::Result<()> {
    match image.get_mut(as_usize(&range)) {
        Some(part) => file.read_exact_at(part, range.start),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads a section piece by piece, and copies only the parts that the analysis searches for.
fn read_marks(file: &File, image: &mut [u8], section: &Range<u64>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut start = section.start;
    loop {
        let left = usize::try_from(section.end - start).unwrap_or(usize::MAX);
        let piece = piece.get_mut(..left.min(PIECE)).unwrap_or_default();
        file.read_exact_at(piece, start)?;
        sieve::marks(piece, |mark| {
            let from = usize::try_from(start).unwrap_or(usize::MAX);
            let place = from.saturating_add(mark.start)..from.saturating_add(mark.end);
            if let (Some(to), Some(from)) = (image.get_mut(place), piece.get(mark)) {
                to.copy_from_slice(from);
            }
        });
        if left <= PIECE {
            return Ok(());
        }
        start += u64::try_from(PIECE - sieve::OVERLAP).unwrap_or(u64::MAX);
    }
}

fn as_usize(range: &Range<u64>) -> Range<usize> {
    let of = |at| usize::try_from(at).unwrap_or(usize::MAX);
    of(range.start)..of(range.end)
}

/// Opens each executable file that is mapped. A mapping that disappeared since `maps` was read is left out: the process
/// unloaded a library.
///
/// Returns the paths of those that may not be opened as well: what may not be seen is not absent.
pub(super) fn open_objects(pid: u32, maps: &MemoryMaps) -> (Vec<MappedObject>, Vec<PathBuf>) {
    let (mut seen, mut objects, mut denied) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    let executable = maps
        .iter()
        .filter(|map| map.inode != 0 && map.perms.contains(MMPermissions::EXECUTE));
    for map in executable {
        let MMapPath::Path(path) = &map.pathname else {
            continue;
        };
        match open_object(pid, maps, map, path) {
            Ok(object) => objects.extend(object.filter(|object| seen.insert(object.identity))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                denied.insert(path.clone());
            }
            // It is gone, or another file has its name.
            Err(_unopened) => {}
        }
    }
    (objects, denied.into_iter().collect())
}

fn open_object(pid: u32, maps: &MemoryMaps, map: &MemoryMap, path: &Path) -> io::Result<Option<MappedObject>> {
    let (start, end) = map.address;
    let mapped = File::open(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
    let file = mapped.or_else(|_| open_by_path(pid, map, path))?;
    Ok(MappedObject::new(path.to_owned(), file, mappings(maps, map)))
}

/// Returns the mappings of the same file that hold its unmodified bytes: code, and data that is not writable.
fn mappings(maps: &MemoryMaps, of: &MemoryMap) -> Vec<Mapping> {
    let is_code = |map: &MemoryMap| map.perms.contains(MMPermissions::EXECUTE);
    let is_kept = |map: &MemoryMap| is_code(map) || !map.perms.contains(MMPermissions::WRITE);
    let same = maps.iter().filter(|map| map.inode == of.inode && map.dev == of.dev);
    let mapping = |map: &MemoryMap| Mapping {
        start: map.address.0,
        end: map.address.1,
        offset: map.offset,
    };
    same.filter(|map| is_kept(map)).map(mapping).collect()
}

/// Opens a mapped file without `CAP_SYS_ADMIN`, which `map_files` requires: by its path in the root of the process, if
/// that still refers to the mapped inode.
fn open_by_path(pid: u32, map: &MemoryMap, path: &Path) -> io::Result<File> {
    let inside = path.strip_prefix("/").unwrap_or(path);
    let file = File::open(PathBuf::from(format!("/proc/{pid}/root")).join(inside))?;
    if file.metadata()?.ino() == map.inode {
        Ok(file)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Creates an ELF file with a data section of `bytes` bytes, and `text` at offset `at` of it.
    fn image_with(text: &[u8], at: usize, bytes: usize) -> Vec<u8> {
        let mut constants = vec![7; bytes];
        constants[at..at + text.len()].copy_from_slice(text);
        let constants_at = 4096_u64;
        let table_at = constants_at + constants.len() as u64;
        let mut header = vec![0; 4096];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[40..48].copy_from_slice(&table_at.to_le_bytes());
        header[58..64].copy_from_slice(&[64, 0, 2, 0, 1, 0]);
        let section = |kind: u32, start: u64, bytes: u64| {
            let mut section = [0; 64];
            section[4..8].copy_from_slice(&kind.to_le_bytes());
            section[8] = 2;
            section[24..32].copy_from_slice(&start.to_le_bytes());
            section[32..40].copy_from_slice(&bytes.to_le_bytes());
            section
        };
        let names = section(3, table_at + 128, 1);
        let table = [section(1, constants_at, constants.len() as u64), names].concat();
        [header, constants, table, vec![0]].concat()
    }

    fn read(image: &[u8]) -> Vec<u8> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(image).unwrap();
        read_image(file.as_file(), file.path()).unwrap().bytes
    }

    #[test]
    fn of_a_large_data_section_only_the_searched_strings_are_read() {
        let image = image_with(b"OpenSSL 3.0.2 15 Mar 2022\0", 700_000, 5_000_000);
        let read = read(&image);
        assert_eq!(read.len(), image.len());
        let kept = read.iter().zip(&image).filter(|(read, whole)| read == whole);
        assert!(kept.count() < 20_000, "the rest is zeros");
        let around = 4096 + 699_500..4096 + 700_500;
        assert_eq!(read[around.clone()], image[around]);
    }

    #[test]
    fn a_string_across_two_pieces_is_read_completely() {
        for at in (PIECE - 600..PIECE + 10).step_by(7) {
            let image = image_with(b"/rustls-0.23.46/src/a/long/name/of/a/file.rs", at, 2_000_000);
            let around = 4096 + at - 100..4096 + at + 400;
            assert_eq!(read(&image)[around.clone()], image[around], "at {at}");
        }
    }

    #[test]
    fn small_images_and_other_files_are_read_completely() {
        for bytes in [0, 63, 64, 5000] {
            let image = vec![9; bytes];
            assert_eq!(read(&image), image);
        }
        let small = image_with(b"nothing", 5, 1000);
        assert_eq!(read(&small), small);
        for cut in [4096, 5000, 2_004_000, 2_004_100] {
            let image = &image_with(b"OpenSSL ", 5, 2_000_000)[..cut];
            assert_eq!(read(image), image, "truncated at {cut}");
        }
    }

    #[test]
    fn the_plan_of_a_library_is_the_same_as_for_the_complete_file() {
        let folder = Path::new("/usr/lib/x86_64-linux-gnu");
        let names = ["libssl.so.3", "libcrypto.so.3"];
        for path in names.map(|name| folder.join(name)) {
            let Ok(whole) = std::fs::read(&path) else { continue };
            let sieved = read_image(&File::open(&path).unwrap(), &path).unwrap().bytes;
            let plan = |image: &[u8]| format!("{:?}", symbolizer::plan(image, None));
            assert_eq!(plan(&sieved), plan(&whole), "{}", path.display());
            let crypto = |image: &[u8]| symbolizer::crypto(image).unwrap();
            assert_eq!(crypto(&sieved), crypto(&whole), "{}", path.display());
        }
    }
}
