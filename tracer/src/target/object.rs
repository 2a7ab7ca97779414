//! The files that a process maps as executable, opened.
//!
//! In: a process's mappings. Out: [`MappedObject`]s, each file once. A file is opened through `/proc/PID/map_files`, which
//! leads to the very file that is mapped: in another mount namespace, replaced on disk, or deleted. Refuses what is no
//! regular file, and one larger than any program.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use procfs::process::{MMPermissions, MMapPath, MemoryMap, MemoryMaps};

use super::Error;
use crate::limits::MAX_IMAGE_BYTES;

/// A file that a process maps as executable.
#[derive(Debug)]
pub struct MappedObject {
    /// Its path as the process sees it.
    pub path: PathBuf,
    /// The file, held open: what is analysed is what is probed.
    pub file: File,
    /// Its identity.
    pub identity: FileIdentity,
    /// Which of the contents it has had.
    pub version: FileVersion,
    /// Where the process maps it.
    mappings: Vec<Mapping>,
}

/// What makes the contents of a file the same contents.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileVersion {
    identity: FileIdentity,
    bytes: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
}

/// A stretch of a file in a process's memory.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
}

/// What makes a file the same file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FileIdentity {
    /// Device.
    pub device: u64,
    /// Inode on it.
    pub inode: u64,
}

impl MappedObject {
    /// A file that the process does not map.
    pub(super) fn unmapped(path: PathBuf, file: File) -> Option<Self> {
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

    /// Where the process has a byte of the file.
    pub(super) fn address_of(&self, offset: u64) -> Option<u64> {
        self.mappings.iter().find_map(|mapping| {
            let into = offset.checked_sub(mapping.offset)?;
            (into < mapping.end.saturating_sub(mapping.start)).then(|| mapping.start.saturating_add(into))
        })
    }

    /// Reads the whole file.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        read_image(&self.file, &self.path)
    }
}

/// Reads a whole file that is no larger than a program can be.
pub fn read_image(mut file: &File, path: &Path) -> Result<Vec<u8>, Error> {
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
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut image = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    file.take(MAX_IMAGE_BYTES).read_to_end(&mut image).map_err(failed)?;
    Ok(image)
}

/// Opens every executable file once. A mapping that went away in between is left out: the process is alive, and its
/// library was unloaded.
pub(super) fn open_objects(pid: u32, maps: &MemoryMaps) -> Vec<MappedObject> {
    let mut seen = BTreeSet::new();
    let executable = maps
        .iter()
        .filter(|map| map.inode != 0 && map.perms.contains(MMPermissions::EXECUTE));
    let opened = executable.filter_map(|map| open_object(pid, maps, map));
    opened.filter(|object| seen.insert(object.identity)).collect()
}

fn open_object(pid: u32, maps: &MemoryMaps, map: &MemoryMap) -> Option<MappedObject> {
    let MMapPath::Path(path) = &map.pathname else {
        return None;
    };
    let (start, end) = map.address;
    let mapped = File::open(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
    let file = mapped.or_else(|_| open_by_path(pid, map, path)).ok()?;
    MappedObject::new(path.clone(), file, mappings(maps, map))
}

/// Where the process has the file of a mapping, but for what it may write to.
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

/// The way without `CAP_SYS_ADMIN`: the path in the process's own root, if it still leads to the mapped inode.
fn open_by_path(pid: u32, map: &MemoryMap, path: &Path) -> io::Result<File> {
    let inside = path.strip_prefix("/").unwrap_or(path);
    let file = File::open(PathBuf::from(format!("/proc/{pid}/root")).join(inside))?;
    if file.metadata()?.ino() == map.inode {
        Ok(file)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}
