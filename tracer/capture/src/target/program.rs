//! Finds the files of a program that is not running yet: the executable that a shell would find by its name, the
//! interpreter if that is a script, and their libraries.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Error, MappedObject, Seccomp, Target, linker::Linker};
use crate::limits::{MAX_EXPECTED_FILES, MAX_SCRIPT_DEPTH};

/// Folders that are searched besides those in `PATH`, which may lack some.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Maximum length of a script's first line (`BINPRM_BUF_SIZE` in `include/uapi/linux/binfmts.h`).
const FIRST_LINE_BYTES: u64 = 256;

impl Target {
    /// Opens a file and the crypto libraries in its folder: a plan for libssl depends on its libcrypto.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be opened or is not a regular file.
    pub fn of_file(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Read {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let object = MappedObject::unmapped(path.to_path_buf(), file);
        let object = object.ok_or_else(|| unreadable(io::ErrorKind::IsADirectory.into()))?;
        let mut objects = vec![object];
        objects.extend(cryptos_beside(path));
        Ok(Self {
            pid: 0,
            name: String::new(),
            seccomp: Seccomp::Off,
            shadow_stack: false,
            objects,
            denied: Vec::new(),
        })
    }

    /// Opens the files that the programs of this name would map; none if there is no such program in `PATH`.
    #[must_use]
    pub fn of_program(name: &str) -> Self {
        let linker = Linker::of_system();
        let (mut seen, mut objects) = (BTreeSet::new(), Vec::new());
        for program in programs(name).into_iter().filter_map(interpreted) {
            let opened = linker.objects_of(program);
            objects.extend(opened.into_iter().filter(|object| seen.insert(object.identity)));
        }
        Self {
            pid: 0,
            name: name.to_owned(),
            seccomp: Seccomp::Off,
            shadow_stack: false,
            objects,
            denied: Vec::new(),
        }
    }
}

fn cryptos_beside(path: &Path) -> Vec<MappedObject> {
    let folder = fs::canonicalize(path)
        .ok()
        .and_then(|path| Some(path.parent()?.to_path_buf()));
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let is_crypto = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"libcrypto.so");
    let open = |entry: fs::DirEntry| MappedObject::unmapped(entry.path(), File::open(entry.path()).ok()?);
    let mut seen = BTreeSet::new();
    let opened = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(is_crypto)
        .filter_map(open);
    opened
        .filter(|object| seen.insert(object.identity))
        .take(MAX_EXPECTED_FILES)
        .collect()
}

/// Returns the files of this name in `PATH` and in the system's folders.
fn programs(name: &str) -> BTreeSet<PathBuf> {
    // `comm` and file names have no slash.
    if name.contains('/') || name.is_empty() {
        return BTreeSet::new();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    let found = folders.filter_map(|folder| fs::canonicalize(folder.join(name)).ok());
    found.filter(|path| path.is_file()).collect()
}

/// Returns the program itself, or for a script the interpreter that executes it in the end.
fn interpreted(program: PathBuf) -> Option<PathBuf> {
    let mut program = program;
    for _ in 0..MAX_SCRIPT_DEPTH {
        let Some(interpreter) = interpreter_of(&program) else {
            return Some(program);
        };
        program = interpreter;
    }
    None
}

fn interpreter_of(script: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    File::open(script)
        .ok()?
        .take(FIRST_LINE_BYTES)
        .read_to_end(&mut line)
        .ok()?;
    named_in(&line).and_then(|name| programs_or_path(&name))
}

fn programs_or_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        fs::canonicalize(name).ok()
    } else {
        programs(name).pop_first()
    }
}

/// Returns the interpreter in a line such as `#!/usr/bin/python3 -u` or `#!/usr/bin/env python3`.
fn named_in(line: &[u8]) -> Option<String> {
    let line = line.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let interpreter = words.next()?;
    if interpreter.rsplit('/').next() == Some("env") {
        let mut programs = words.skip_while(|word| word.starts_with('-') || word.contains('='));
        return programs.next().map(str::to_owned);
    }
    Some(interpreter.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_script_names_its_interpreter() {
        let of = |line: &[u8]| named_in(line);
        assert_eq!(
            of(b"#!/usr/bin/python3 -u\nprint()"),
            Some("/usr/bin/python3".to_owned())
        );
        assert_eq!(of(b"#! /usr/bin/env python3\n"), Some("python3".to_owned()));
        assert_eq!(of(b"#!/usr/bin/env -S A=1 python3 -u\n"), Some("python3".to_owned()));
        for nothing in [&b"\x7fELF"[..], b"#!", b"#!\n", b"#!/usr/bin/env", b"#!\xff"] {
            assert_eq!(of(nothing), None);
        }
    }

    #[test]
    fn a_program_is_found_with_its_libraries() {
        let target = Target::of_program("cat");
        let names = |part: &str| {
            target
                .objects
                .iter()
                .filter(|object| object.path.to_string_lossy().contains(part))
                .count()
        };
        assert_eq!((names("/cat"), names("/libc.so") + names("/ld-musl")), (1, 1));
    }

    #[test]
    fn an_unknown_name_and_a_path_have_no_files() {
        for name in ["", "no program of this name", "../bin/cat", "/bin/cat"] {
            assert!(Target::of_program(name).objects.is_empty(), "{name}");
        }
    }

    #[test]
    fn scripts_that_name_each_other_have_no_interpreter() {
        let folder = tempfile::tempdir().unwrap();
        let scripts = ["one", "other"].map(|name| folder.path().join(name));
        fs::write(&scripts[0], format!("#!{}\n", scripts[1].display())).unwrap();
        fs::write(&scripts[1], format!("#!{}\n", scripts[0].display())).unwrap();
        assert_eq!(interpreted(scripts[0].clone()), None);
    }
}
