//! Finds the libraries that a program would load, in the way of the dynamic linker (`ld.so(8)`).
//!
//! The program is not run. Libraries that are not found are left out, and so are those that it opens with `dlopen`.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use symbolizer::Image;

use super::MappedObject;
use crate::limits::{MAX_CACHED_LIBRARIES, MAX_EXPECTED_FILES};

/// The dynamic linker's cache of library paths.
const CACHE: &str = "/etc/ld.so.cache";

/// Magic of the cache format since glibc 2.2 (`CACHEMAGIC_VERSION_NEW` in `dl-cache.h`, glibc 2.41). `ldconfig` before
/// glibc 2.32 writes a cache in the older format before it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";

/// Sizes of `struct cache_file_new` and `struct file_entry_new`.
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;

/// Folders that the dynamic linkers of glibc and musl search last.
const DEFAULT_FOLDERS: [&str; 6] = [
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
];

/// Class, byte order and machine of an ELF file.
type ElfKind = [u8; 4];

/// A dynamic linker that only finds files.
#[derive(Debug)]
pub(super) struct Linker {
    /// The paths of each library name in the cache, the preferred one first.
    cached: HashMap<Vec<u8>, Vec<PathBuf>>,
}

impl Linker {
    /// Reads the system's cache; without one, only folders are searched.
    pub(super) fn of_system() -> Self {
        let cache = fs::read(CACHE).unwrap_or_default();
        Self { cached: parse(&cache) }
    }

    /// Opens a program and its direct and indirect dependencies, each file once.
    pub(super) fn objects_of(&self, program: PathBuf) -> Vec<MappedObject> {
        let (mut seen, mut objects) = (BTreeSet::new(), Vec::new());
        let mut due = VecDeque::from([program]);
        while let Some(path) = due.pop_front().filter(|_| objects.len() < MAX_EXPECTED_FILES) {
            let opened = File::open(&path)
                .ok()
                .and_then(|file| MappedObject::unmapped(path, file));
            let Some(object) = opened.filter(|object| seen.insert(object.identity)) else {
                continue;
            };
            due.extend(self.needed_by(&object));
            objects.push(object);
        }
        objects
    }

    fn needed_by(&self, object: &MappedObject) -> Vec<PathBuf> {
        let Ok(read) = object.read() else {
            return Vec::new();
        };
        let (Some(kind), Ok(Ok(image))) = (kind_of(&read.bytes), Image::parse(&read.bytes)) else {
            return Vec::new();
        };
        let folders: Vec<_> = image
            .search_paths()
            .into_iter()
            .map(|folder| expand(folder, &object.path))
            .collect();
        let names = image.needed_names();
        names
            .iter()
            .filter_map(|name| self.find(name, &folders, kind))
            .collect()
    }

    /// Returns the first file with this name that is for the same machine; the dynamic linker ignores the others.
    fn find(&self, name: &[u8], folders: &[PathBuf], kind: ElfKind) -> Option<PathBuf> {
        let name = Path::new(OsStr::from_bytes(name));
        let within = |folder: &PathBuf| folder.join(name);
        let cached = self
            .cached
            .get(name.as_os_str().as_bytes())
            .into_iter()
            .flatten()
            .cloned();
        let defaults = DEFAULT_FOLDERS.map(PathBuf::from);
        let candidates = folders
            .iter()
            .map(within)
            .chain(cached)
            .chain(defaults.iter().map(within));
        let found = candidates.into_iter().find(|path| has_kind(path, kind))?;
        fs::canonicalize(found).ok()
    }
}

/// Replaces `$ORIGIN` in a search path of `file` by the folder of that file.
fn expand(folder: &[u8], file: &Path) -> PathBuf {
    let origin = file.parent().unwrap_or_else(|| Path::new("/")).as_os_str().as_bytes();
    let rest = [&b"$ORIGIN"[..], b"${ORIGIN}"]
        .into_iter()
        .find_map(|word| folder.strip_prefix(word));
    let folder = rest.map_or_else(|| folder.to_vec(), |rest| [origin, rest].concat());
    PathBuf::from(OsStr::from_bytes(&folder))
}

fn has_kind(path: &Path, kind: ElfKind) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && kind_of(&header) == Some(kind)
}

fn kind_of(bytes: &[u8]) -> Option<ElfKind> {
    let [0x7f, b'E', b'L', b'F', class, order, ..] = bytes else {
        return None;
    };
    let machine = bytes.get(18..20)?.first_chunk::<2>()?;
    Some([*class, *order, machine[0], machine[1]])
}

/// Parses the cache. An entry with an invalid offset is left out.
fn parse(bytes: &[u8]) -> HashMap<Vec<u8>, Vec<PathBuf>> {
    let mut cached: HashMap<_, Vec<_>> = HashMap::new();
    let Some(cache) = find_cache(bytes) else {
        return cached;
    };
    let count = number(cache, MAGIC.len()).unwrap_or(0).min(MAX_CACHED_LIBRARIES);
    let entries = cache.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(ENTRY_BYTES);
    for entry in entries.take(count) {
        let texts = (text(cache, number(entry, 4)), text(cache, number(entry, 8)));
        if let (Some(name), Some(path)) = texts {
            let path = PathBuf::from(OsStr::from_bytes(path));
            cached.entry(name.to_vec()).or_default().push(path);
        }
    }
    cached
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// Returns the NUL-terminated string at an offset of the cache.
fn text(cache: &[u8], at: Option<usize>) -> Option<&[u8]> {
    let text = cache.get(at?..)?;
    text.split(|byte| *byte == 0).next()
}

/// Returns the cache in the current format, which may follow one in the older format.
fn find_cache(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    bytes.get(at..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a cache with one library.
    fn cache(name: &[u8], path: &[u8]) -> Vec<u8> {
        let strings = HEADER_BYTES + ENTRY_BYTES;
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut cache = [MAGIC, &number(1)].concat();
        cache.resize(HEADER_BYTES, 0);
        cache.extend([number(0x303), number(strings), number(strings + name.len() + 1)].concat());
        cache.resize(strings, 0);
        [&cache[..], name, b"\0", path, b"\0"].concat()
    }

    #[test]
    fn the_cache_is_found_behind_one_in_the_older_format() {
        let new = cache(b"libssl.so.3", b"/usr/lib/libssl.so.3");
        for bytes in [new.clone(), [&b"ld.so-1.7.0\0an older cache\0"[..], &new].concat()] {
            let paths = parse(&bytes).remove(&b"libssl.so.3"[..]);
            assert_eq!(paths, Some(vec![PathBuf::from("/usr/lib/libssl.so.3")]));
        }
    }

    #[test]
    fn a_truncated_cache_or_one_with_a_wrong_count_is_read_as_far_as_possible() {
        let mut bytes = cache(b"x", b"/y");
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).len() <= 1, "cut at {cut}");
        }
        bytes[MAGIC.len()..MAGIC.len() + 4].fill(0xff);
        assert!(parse(&bytes).contains_key(&b"x"[..]));
    }

    #[test]
    fn origin_is_the_folder_of_the_file() {
        let file = Path::new("/opt/gateway/bin/gateway");
        let expanded = |folder: &[u8]| expand(folder, file);
        assert_eq!(expanded(b"$ORIGIN/../lib"), Path::new("/opt/gateway/bin/../lib"));
        assert_eq!(expanded(b"${ORIGIN}"), Path::new("/opt/gateway/bin"));
        assert_eq!(expanded(b"/usr/lib"), Path::new("/usr/lib"));
    }

    #[test]
    fn the_libraries_that_this_process_maps_are_found() {
        let own = fs::canonicalize("/proc/self/exe").unwrap();
        let expected = Linker::of_system().objects_of(own);
        let mapped = super::super::Target::discover(std::process::id()).unwrap();
        let is_loader = |object: &&MappedObject| {
            object
                .path
                .file_name()
                .is_some_and(|name| name.as_bytes().starts_with(b"ld-"))
        };
        for object in mapped.objects.iter().filter(|object| !is_loader(object)) {
            assert!(
                expected.iter().any(|one| one.identity == object.identity),
                "{} is not expected",
                object.path.display()
            );
        }
    }
}
