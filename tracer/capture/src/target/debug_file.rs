//! Finds the file in which the symbols of a stripped image are kept.
//!
//! GDB looks in the same places (its manual, "Debugging Information in Separate Files"): by the build identifier in
//! `/usr/lib/debug/.build-id`, and by the name that the image states in its own folder, in `.debug` there, and below
//! `/usr/lib/debug`. The files may be those of the process's mount namespace or of tlscope's, and the last source is
//! `debuginfod-find` of elfutils, if the user wants that.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use symbolizer::DebugLink;

use super::object::read_symbols;
use crate::limits::MAX_IMAGE_BYTES;

/// Where distributions install such files.
const FOLDER: &str = "/usr/lib/debug";

/// Bytes that are read at once to compute a checksum.
const PIECE: usize = 256 * 1024;

/// Seconds that `debuginfod-find` may take for a file, unless the environment says otherwise.
const LONGEST_DOWNLOAD_SECONDS: &str = "120";

/// Where the symbols of stripped images are looked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugFiles {
    /// Whether the servers in `DEBUGINFOD_URLS` are asked as well, by `debuginfod-find`.
    pub debuginfod: bool,
}

impl DebugFiles {
    /// Returns what matters of the file with the symbols of an image of a process; `None` if there is none that certainly
    /// belongs to it. `pid` is 0 without a process.
    pub(crate) fn find(self, link: &DebugLink, image: &Path, pid: u32) -> Option<Vec<u8>> {
        let roots = roots(pid);
        let installed = roots.iter().find_map(|root| installed_in(root, link, image));
        installed.or_else(|| self.debuginfod.then(|| download(link)).flatten())
    }
}

/// Returns the roots in which files are looked for.
fn roots(pid: u32) -> Vec<File> {
    let of_process = (pid != 0).then(|| format!("/proc/{pid}/root"));
    let paths = of_process.into_iter().chain(["/".to_owned()]);
    paths.filter_map(|path| File::open(path).ok()).collect()
}

fn installed_in(root: &File, link: &DebugLink, image: &Path) -> Option<Vec<u8>> {
    let by_id = link.id_in_hex().and_then(|id| path_of_id(&id));
    let by_name = link
        .file
        .iter()
        .flat_map(|(name, _)| paths_of_name(OsStr::from_bytes(name), image));
    by_id.into_iter().chain(by_name).find_map(|path| {
        let file = open_in(root, &path).ok()?;
        belongs_to(link, &file)
    })
}

/// Returns the path of the file for a build identifier in hexadecimal.
fn path_of_id(id: &str) -> Option<PathBuf> {
    let (first, rest) = id.split_at_checked(2)?;
    Some(PathBuf::from(format!("{FOLDER}/.build-id/{first}/{rest}.debug")))
}

/// Returns the paths that a name may stand for.
fn paths_of_name(name: &OsStr, image: &Path) -> Vec<PathBuf> {
    let Some(folder) = image.parent().filter(|folder| folder.is_absolute()) else {
        return Vec::new();
    };
    let below = folder.strip_prefix("/").unwrap_or(folder);
    let folders = [folder.to_owned(), folder.join(".debug"), Path::new(FOLDER).join(below)];
    folders.map(|folder| folder.join(name)).into()
}

/// Opens a regular file. Links lead within the root, and nothing that is no file can hold up the caller.
fn open_in(root: &File, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// Returns what matters of a file if it belongs to the image: both have the same build identifier, or the image has none and
/// states the file's checksum.
fn belongs_to(link: &DebugLink, file: &File) -> Option<Vec<u8>> {
    let symbols = read_symbols(file)?;
    let belongs = match (&link.build_id, &link.file) {
        (Some(_), _) => link.has_same_id(&symbols),
        (None, Some((_, expected))) => checksum(file).is_ok_and(|checksum| checksum == *expected),
        (None, None) => false,
    };
    belongs.then_some(symbols)
}

/// Computes the CRC-32 of a file, from where it was opened.
fn checksum(mut file: &File) -> io::Result<u32> {
    let (mut hasher, mut piece) = (crc32fast::Hasher::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

/// Downloads a file, or finds it in the cache of earlier downloads.
fn download(link: &DebugLink) -> Option<Vec<u8>> {
    let mut command = Command::new("debuginfod-find");
    command.arg("debuginfo").arg(link.id_in_hex()?);
    let bounds = [
        ("DEBUGINFOD_MAXTIME", LONGEST_DOWNLOAD_SECONDS.to_owned()),
        ("DEBUGINFOD_MAXSIZE", MAX_IMAGE_BYTES.to_string()),
    ];
    command.envs(bounds.into_iter().filter(|(name, _)| env::var_os(name).is_none()));
    let found = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let path = found.stdout.strip_suffix(b"\n").filter(|_| found.status.success())?;
    belongs_to(link, &File::open(OsString::from_vec(path.to_vec())).ok()?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    const IMAGE: &str = "/opt/gateway/bin/gateway";

    /// Compiles a program of the fixtures; returns its file, and what a link to its symbols would say with this name.
    fn program(folder: &Path, id: &str, name: &str) -> (PathBuf, DebugLink) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/elf/tls.c");
        let program = folder.join("program");
        let mut compiler = Command::new("gcc");
        compiler
            .args(["-O2", "-DMAIN", &format!("-Wl,--build-id={id}"), "-o"])
            .arg(&program)
            .arg(source);
        assert!(compiler.status().unwrap().success());
        let link = DebugLink {
            build_id: (id == "0xabcdef").then(|| vec![0xab, 0xcd, 0xef]),
            file: Some((name.into(), checksum(&File::open(&program).unwrap()).unwrap())),
        };
        (program, link)
    }

    /// Looks in a root that holds the file at one place.
    fn found_at(path: &str, file: &Path, link: &DebugLink) -> bool {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(file, place).unwrap();
        installed_in(&File::open(root.path()).unwrap(), link, Path::new(IMAGE)).is_some()
    }

    #[test]
    fn files_are_found_where_gdb_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let (by_id, link) = program(folder.path(), "0xabcdef", "gateway.debug");
        let named = [
            "opt/gateway/bin/gateway.debug",
            "opt/gateway/bin/.debug/gateway.debug",
            "usr/lib/debug/opt/gateway/bin/gateway.debug",
        ];
        assert!(found_at("usr/lib/debug/.build-id/ab/cdef.debug", &by_id, &link));
        assert!(named.iter().all(|path| found_at(path, &by_id, &link)));
        assert!(!found_at("usr/lib/debug/gateway.debug", &by_id, &link));
        let (by_name, link) = program(folder.path(), "none", "gateway.debug");
        assert!(named.iter().all(|path| found_at(path, &by_name, &link)));
        assert!(!found_at("usr/lib/debug/.build-id/ab/cdef.debug", &by_name, &link));
    }

    #[test]
    fn a_file_of_another_build_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut link) = program(folder.path(), "0xabcdef", "gateway.debug");
        link.build_id = Some(vec![0xab, 0xcd, 0xee]);
        assert!(!found_at("opt/gateway/bin/gateway.debug", &file, &link));
        let (file, mut link) = program(folder.path(), "none", "gateway.debug");
        link.file = link.file.map(|(name, checksum)| (name, checksum ^ 1));
        assert!(!found_at("opt/gateway/bin/gateway.debug", &file, &link));
    }

    #[test]
    fn links_lead_within_the_root_and_nothing_holds_up_the_search() {
        let (folder, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, link) = program(folder.path(), "0xabcdef", "gateway.debug");
        let inside = |path: &str| root.path().join(path);
        for path in ["opt/gateway/bin/.debug", "srv"] {
            fs::create_dir_all(inside(path)).unwrap();
        }
        let search = || installed_in(&File::open(root.path()).unwrap(), &link, Path::new(IMAGE)).is_some();
        // A pipe that nobody writes to, a folder, and a link that leads out of the root.
        rustix::fs::mkfifoat(rustix::fs::CWD, inside("opt/gateway/bin/gateway.debug"), Mode::RWXU).unwrap();
        fs::create_dir(inside("opt/gateway/bin/.debug/gateway.debug")).unwrap();
        fs::create_dir_all(inside("usr/lib/debug/opt/gateway/bin")).unwrap();
        let link_at = inside("usr/lib/debug/opt/gateway/bin/gateway.debug");
        symlink(&file, &link_at).unwrap();
        assert!(!search());
        fs::copy(&file, inside("srv/symbols")).unwrap();
        fs::remove_file(&link_at).unwrap();
        symlink("/srv/symbols", &link_at).unwrap();
        assert!(search());
    }
}
