//! Finds processes, the executable files that they map, and their sockets, in `/proc`.

mod select;
mod names;
mod container;
mod user;
mod listeners;
mod object;
mod debug_file;
mod verify;
mod process_event;
mod liveness;
mod sockets;
mod unix;
mod linker;
mod program;
mod denial;
mod error;
mod shadow_stack;

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use procfs::{ProcError, process::Process as ProcProcess};

use self::{liveness::owner_of, object::open_objects};

pub use debug_file::DebugFiles;
pub use denial::Denial;
pub use error::Error;
pub use listeners::Listeners;
pub use liveness::{exists, has_memory, name_of, parent_of, start_of, thread_has_ended, threads_of};
pub use object::{FileIdentity, FileVersion, MappedObject, PartImage, read_image};
pub use process_event::ProcessEvent;
pub use select::{Selection, descendants_of, descriptors_of, find};
pub use shadow_stack::{any_has_shadow_stack, has_shadow_stack};
pub use sockets::{ConnectedSockets, inode_of_descriptor, netns_of};
pub use unix::unix_names;
pub use user::{User, UserError};
pub use verify::{Mismatch, breakpoints, verify};

/// A process to trace.
#[derive(Debug)]
pub struct Target {
    /// Process id; 0 for a file or program that is analysed without a process.
    pub pid: u32,
    /// The kernel's name for the process (`comm`), at most 15 bytes.
    pub name: String,
    /// Whether it runs under a seccomp filter.
    pub seccomp: Seccomp,
    /// Whether it runs with a shadow stack.
    pub shadow_stack: bool,
    /// The files that it maps as executable, in the order of their addresses, each once.
    pub objects: Vec<MappedObject>,
    /// The paths of those that this process may not open.
    pub denied: Vec<PathBuf>,
}

/// Whether a process runs under a seccomp filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seccomp {
    /// No filter.
    Off,
    /// A filter, whose rules cannot be read from another process.
    On,
}

/// Returns the inode of this process's network namespace, or 0 if it cannot be read.
pub fn own_netns() -> u32 {
    let inode = fs::metadata("/proc/self/ns/net").map_or(0, |namespace| namespace.ino());
    u32::try_from(inode).unwrap_or(0)
}

impl Target {
    /// Opens the executable files that a process maps.
    ///
    /// # Errors
    ///
    /// Fails if the process does not exist, is a thread, maps nothing, or may not be examined.
    pub fn discover(pid: u32) -> Result<Self, Error> {
        let process = open_process(pid)?;
        let failed = |source| from_proc(pid, source);
        let status = process.status().map_err(failed)?;
        check_is_process(pid, status.tgid)?;
        let maps = process.maps().map_err(failed)?;
        if maps.0.is_empty() {
            return Err(Error::NoMaps(pid));
        }
        let seccomp = if status.seccomp.unwrap_or(0) == 0 {
            Seccomp::Off
        } else {
            Seccomp::On
        };
        let (objects, unopened) = open_objects(pid, &maps);
        if objects.is_empty() && !unopened.is_empty() {
            return Err(denied(pid));
        }
        Ok(Self {
            pid,
            name: status.name,
            seccomp,
            shadow_stack: has_shadow_stack(pid),
            objects,
            denied: unopened,
        })
    }

    /// Returns the process with the TLS libraries that it may load later in place of its files: those in the folder of
    /// its C library.
    #[must_use]
    pub fn expected(&self) -> Self {
        Self {
            pid: self.pid,
            name: self.name.clone(),
            seccomp: self.seccomp,
            shadow_stack: self.shadow_stack,
            objects: self.beside_libc().unwrap_or_default(),
            denied: Vec::new(),
        }
    }

    fn beside_libc(&self) -> Option<Vec<MappedObject>> {
        let is_libc = |object: &&MappedObject| starts_with(&object.path, &["libc.so", "libc-", "ld-musl"]);
        let directory = self.objects.iter().find(is_libc)?.path.parent()?;
        let inside = directory.strip_prefix("/").unwrap_or(directory);
        let entries = fs::read_dir(PathBuf::from(format!("/proc/{}/root", self.pid)).join(inside)).ok()?;
        let mut seen = BTreeSet::new();
        let libraries = entries
            .flatten()
            .filter(|entry| starts_with(&entry.path(), &["libssl.so", "libcrypto.so"]));
        // Names of the same file, such as libssl.so and libssl.so.3, differ in length: the longest is not a link.
        let mut libraries: Vec<_> = libraries.collect();
        libraries.sort_by_key(|entry| Reverse(entry.file_name().len()));
        let opened = libraries.into_iter().filter_map(|entry| {
            let file = File::open(entry.path()).ok()?;
            MappedObject::unmapped(directory.join(entry.file_name()), file)
        });
        Some(opened.filter(|object| seen.insert(object.identity)).collect())
    }
}

fn starts_with(path: &Path, beginnings: &[&str]) -> bool {
    let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    beginnings
        .iter()
        .any(|beginning| name.starts_with(beginning.as_bytes()))
}

fn open_process(pid: u32) -> Result<ProcProcess, Error> {
    let pid_signed = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .ok_or(Error::NoSuchProcess(pid))?;
    ProcProcess::new(pid_signed).map_err(|source| from_proc(pid, source))
}

/// Returns an error for a thread. `/proc/TID` exists for each thread, although `/proc` does not list it.
fn check_is_process(pid: u32, tgid: i32) -> Result<(), Error> {
    let owner = tgid.unsigned_abs();
    if owner == pid {
        Ok(())
    } else {
        Err(Error::Thread { tid: pid, pid: owner })
    }
}

fn denied(pid: u32) -> Error {
    Error::Denied {
        pid,
        denial: Denial::find(),
    }
}

fn from_proc(pid: u32, source: ProcError) -> Error {
    match source {
        ProcError::NotFound(_) => Error::NoSuchProcess(pid),
        ProcError::PermissionDenied(_) => denied(pid),
        source @ (ProcError::Incomplete(_) | ProcError::Io(..) | ProcError::Other(_) | ProcError::InternalError(_)) => {
            Error::Proc { pid, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_maps_its_own_executable() {
        let target = Target::discover(std::process::id()).unwrap();
        let own = File::open("/proc/self/exe").unwrap().metadata().unwrap();
        let identity = FileIdentity {
            device: own.dev(),
            inode: own.ino(),
        };
        assert!(target.objects.iter().any(|object| object.identity == identity));
    }

    #[test]
    fn each_library_in_the_folder_of_the_c_library_is_expected_once() {
        let expected = Target::discover(std::process::id()).unwrap().expected();
        let of_tls = |object: &&MappedObject| starts_with(&object.path, &["libssl.so"]);
        let beside = fs::read_dir("/usr/lib/x86_64-linux-gnu")
            .into_iter()
            .flatten()
            .flatten();
        let there = beside.filter(|entry| entry.file_name() == "libssl.so.3").count();
        assert!(expected.objects.iter().filter(of_tls).count() >= there);
        let identities: BTreeSet<_> = expected.objects.iter().map(|object| object.identity).collect();
        assert_eq!(identities.len(), expected.objects.len());
    }

    #[test]
    fn a_thread_is_refused_with_the_process_it_belongs_to() {
        let (send, received) = std::sync::mpsc::channel();
        let (end, until_end) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            // The link is PID/task/TID.
            send.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
            until_end.recv().unwrap_err();
        });
        let path = received.recv().unwrap();
        let tid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let own = std::process::id();
        let is_refused = |result: Result<(), Error>| {
            let Err(Error::Thread { tid: thread, pid }) = result else {
                return false;
            };
            (thread, pid) == (tid, own)
        };
        assert!(is_refused(Target::discover(tid).map(drop)));
        for wait in [false, true] {
            let selection = Selection {
                pids: vec![tid],
                wait,
                ..Selection::default()
            };
            assert!(is_refused(find(&selection).map(drop)));
        }
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn a_file_can_be_read_twice() {
        let target = Target::discover(std::process::id()).unwrap();
        let own = &target.objects[0];
        assert_eq!(own.read().unwrap().bytes.len(), own.read().unwrap().bytes.len());
    }

    #[test]
    fn each_file_is_opened_once() {
        let target = Target::discover(std::process::id()).unwrap();
        let identities: BTreeSet<_> = target.objects.iter().map(|object| object.identity).collect();
        assert_eq!(identities.len(), target.objects.len());
    }

    #[test]
    fn an_invalid_pid_is_no_process() {
        assert!(matches!(
            Target::discover(u32::MAX),
            Err(Error::NoSuchProcess(u32::MAX))
        ));
        assert!(matches!(Target::discover(0), Err(Error::NoSuchProcess(0))));
    }
}
