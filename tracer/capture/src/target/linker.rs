//! Which libraries a program would load, as the dynamic linker would find them (`ld.so(8)`).
//!
//! In: a program's file. Out: the files it needs, and those that they need. Refuses nothing: what is not found is left
//! out, and so is what a program loads by itself while it runs. Programs are not run to find out.

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

/// The dynamic linker's own list of libraries.
const CACHE: &str = "/etc/ld.so.cache";

/// How the list begins that glibc writes since 2.2 (`CACHEMAGIC_VERSION_NEW` in `dl-cache.h`, glibc 2.41); `ldconfig` of
/// versions before 2.32 puts an older one before it.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";

/// Bytes of `struct cache_file_new` and of `struct file_entry_new`.
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;

/// Where the dynamic linkers of glibc and of musl look last.
const DEFAULT_FOLDERS: [&str; 6] = [
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
];

/// Class, byte order and machine of an ELF file.
type Kind = [u8; 4];

/// Finds the libraries that programs would load.
#[derive(Debug)]
pub(super) struct Linker {
    listed: HashMap<Vec<u8>, Vec<PathBuf>>,
}

impl Linker {
    /// Reads the system's list.
    pub(super) fn of_system() -> Self {
        let list = fs::read(CACHE).unwrap_or_default();
        Self { listed: parse(&list) }
    }

    /// Opens a program and all that it needs, each file once.
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
        let Ok(bytes) = object.read() else {
            return Vec::new();
        };
        let (Some(kind), Ok(Ok(image))) = (kind_of(&bytes), Image::parse(&bytes)) else {
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

    /// The first file of a name that the dynamic linker would take: it passes over those for other machines.
    fn find(&self, name: &[u8], folders: &[PathBuf], kind: Kind) -> Option<PathBuf> {
        let name = Path::new(OsStr::from_bytes(name));
        let within = |folder: &PathBuf| folder.join(name);
        let listed = self
            .listed
            .get(name.as_os_str().as_bytes())
            .into_iter()
            .flatten()
            .cloned();
        let defaults = DEFAULT_FOLDERS.map(PathBuf::from);
        let candidates = folders
            .iter()
            .map(within)
            .chain(listed)
            .chain(defaults.iter().map(within));
        let found = candidates.into_iter().find(|path| has_kind(path, kind))?;
        fs::canonicalize(found).ok()
    }
}

/// Replaces `$ORIGIN`, which is the folder of the file that says so.
fn expand(folder: &[u8], of: &Path) -> PathBuf {
    let origin = of.parent().unwrap_or_else(|| Path::new("/")).as_os_str().as_bytes();
    let rest = [&b"$ORIGIN"[..], b"${ORIGIN}"]
        .into_iter()
        .find_map(|word| folder.strip_prefix(word));
    let folder = rest.map_or_else(|| folder.to_vec(), |rest| [origin, rest].concat());
    PathBuf::from(OsStr::from_bytes(&folder))
}

fn has_kind(path: &Path, kind: Kind) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && kind_of(&header) == Some(kind)
}

fn kind_of(bytes: &[u8]) -> Option<Kind> {
    let [0x7f, b'E', b'L', b'F', class, order, ..] = bytes else {
        return None;
    };
    let machine = bytes.get(18..20)?.first_chunk::<2>()?;
    Some([*class, *order, machine[0], machine[1]])
}

/// Reads the list: names, and the paths of the libraries that bear them, the preferred one first.
fn parse(bytes: &[u8]) -> HashMap<Vec<u8>, Vec<PathBuf>> {
    let mut listed: HashMap<_, Vec<_>> = HashMap::new();
    let Some(list) = list_in(bytes) else {
        return listed;
    };
    let count = number(list, MAGIC.len()).unwrap_or(0).min(MAX_CACHED_LIBRARIES);
    let entries = list.get(HEADER_BYTES..).unwrap_or_default().chunks_exact(ENTRY_BYTES);
    for entry in entries.take(count) {
        let texts = (text(list, number(entry, 4)), text(list, number(entry, 8)));
        if let (Some(name), Some(path)) = texts {
            let path = PathBuf::from(OsStr::from_bytes(path));
            listed.entry(name.to_vec()).or_default().push(path);
        }
    }
    listed
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// The text at an offset of the list, up to its zero.
fn text(list: &[u8], at: Option<usize>) -> Option<&[u8]> {
    let text = list.get(at?..)?;
    text.split(|byte| *byte == 0).next()
}

fn list_in(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    bytes.get(at..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list with one library.
    fn list(name: &[u8], path: &[u8]) -> Vec<u8> {
        let strings = HEADER_BYTES + ENTRY_BYTES;
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut list = [MAGIC, &number(1)].concat();
        list.resize(HEADER_BYTES, 0);
        list.extend([number(0x303), number(strings), number(strings + name.len() + 1)].concat());
        list.resize(strings, 0);
        [&list[..], name, b"\0", path, b"\0"].concat()
    }

    #[test]
    fn the_linkers_list_names_libraries_also_behind_an_older_list() {
        let new = list(b"libssl.so.3", b"/usr/lib/libssl.so.3");
        for bytes in [new.clone(), [&b"ld.so-1.7.0\0an older list\0"[..], &new].concat()] {
            let paths = parse(&bytes).remove(&b"libssl.so.3"[..]);
            assert_eq!(paths, Some(vec![PathBuf::from("/usr/lib/libssl.so.3")]));
        }
    }

    #[test]
    fn a_list_that_is_cut_short_or_lies_about_its_length_is_read_as_far_as_it_goes() {
        let mut bytes = list(b"x", b"/y");
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).len() <= 1, "cut at {cut}");
        }
        bytes[MAGIC.len()..MAGIC.len() + 4].fill(0xff);
        assert!(parse(&bytes).contains_key(&b"x"[..]));
    }

    #[test]
    fn an_origin_is_the_folder_of_the_file_that_names_it() {
        let of = Path::new("/opt/gateway/bin/gateway");
        let expanded = |folder: &[u8]| expand(folder, of);
        assert_eq!(expanded(b"$ORIGIN/../lib"), Path::new("/opt/gateway/bin/../lib"));
        assert_eq!(expanded(b"${ORIGIN}"), Path::new("/opt/gateway/bin"));
        assert_eq!(expanded(b"/usr/lib"), Path::new("/usr/lib"));
    }

    #[test]
    fn a_program_would_load_what_it_maps() {
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
