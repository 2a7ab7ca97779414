//! Programs whose probes are attached many at a time.
//!
//! A single probe is a perf event. The kernel waits for an RCU grace period after it removes each one, which takes seconds
//! in all if every CPU is busy, and longer if a reader of low priority waits for a CPU. Linux 6.6 has links of many
//! uprobes, which are removed at once. aya cannot create them, because their programs must be loaded for this kind of link;
//! so aya-obj relocates the programs against the maps that aya created, and [`syscall`] makes the system calls.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use aya::{Ebpf, maps::Map};
use aya_obj::{Function, Object, btf::BtfFeatures};
use thiserror::Error as ThisError;

use super::{
    OBJECT,
    program::Program,
    syscall::{self, MultiLink},
};

/// Why the programs could not be loaded.
#[derive(Debug, ThisError)]
pub(super) enum Refusal {
    /// The embedded object cannot be relocated, or lacks a program.
    #[error("the BPF object cannot be linked: {0}")]
    Object(String),
    /// The kernel refused a program, or its type information.
    #[error("the kernel has no links of many uprobes")]
    Kernel(#[from] io::Error),
}

/// The programs of uprobes, which are loaded for links of many when they are first needed: the kernel verifies each of the
/// large ones for up to 0.3 s.
#[derive(Debug)]
pub(super) struct MultiPrograms {
    btf: OwnedFd,
    /// The maps: the instructions have the numbers of these descriptors.
    _maps: Vec<OwnedFd>,
    programs: HashMap<Program, Mutex<State>>,
}

#[derive(Debug)]
enum State {
    /// Nothing has needed it.
    Linked(Box<(aya_obj::Program, Function)>),
    Loaded(Arc<OwnedFd>),
}

impl MultiPrograms {
    /// Links the programs with the maps of `ebpf`. Fails on kernels before 6.6.
    pub(super) fn link(ebpf: &Ebpf) -> Result<Self, Refusal> {
        let mut object = Object::parse(OBJECT).map_err(|error| unusable(&error))?;
        let btf = {
            // Every BTF feature is older than links of many uprobes.
            let features = BtfFeatures::new(true, true, true, true, true, true, true, true);
            let btf = object
                .fixup_and_sanitize_btf(&features)
                .map_err(|error| unusable(&error))?;
            let btf = btf.ok_or_else(|| unusable(&"no type information"))?;
            syscall::load_btf(&btf.to_bytes())?
        };
        let maps = link(&mut object, ebpf)?;
        let mut take = |program: Program| {
            let name = program.name();
            let linked = object.programs.remove(name);
            let function = linked
                .as_ref()
                .and_then(|linked| object.functions.remove(&linked.function_key()));
            let (linked, function) = linked.zip(function).ok_or_else(|| unusable(&name))?;
            Ok((program, Mutex::new(State::Linked(Box::new((linked, function))))))
        };
        let programs = Program::ALL
            .into_iter()
            .map(&mut take)
            .collect::<Result<_, Refusal>>()?;
        let linked = Self {
            btf,
            _maps: maps,
            programs,
        };
        if !has_links(linked.load(SMALLEST)?.as_fd()) {
            return Err(Refusal::Kernel(io::ErrorKind::Unsupported.into()));
        }
        Ok(linked)
    }

    /// Loads a program, unless it is loaded, and returns it.
    pub(super) fn load(&self, program: Program) -> io::Result<Arc<OwnedFd>> {
        let mut state = self.state(program)?;
        let loaded = match &*state {
            State::Linked(linked) => {
                let (program, function) = &**linked;
                Arc::new(syscall::load_program(program, function, self.btf.as_fd())?)
            }
            State::Loaded(loaded) => Arc::clone(loaded),
        };
        *state = State::Loaded(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Loads programs on a thread of its own. Whatever needs one of them meanwhile waits for it, or loads it first.
    pub(super) fn load_ahead(self: &Arc<Self>, programs: &'static [Program]) {
        let own = Arc::clone(self);
        let load = move || {
            for program in programs {
                // What needs a program that the kernel refuses tries again, and returns the error.
                drop(own.load(*program));
            }
        };
        // If no thread can be spawned, the programs are loaded when they are needed.
        drop(thread::Builder::new().name("load".to_owned()).spawn(load));
    }

    fn state(&self, program: Program) -> io::Result<MutexGuard<'_, State>> {
        let state = self.programs.get(&program).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Attaches a loaded program at offsets of a file, each with its cookie; for one process, or for all if `pid` is 0.
pub(super) fn attach(
    program: BorrowedFd<'_>,
    is_return: bool,
    file: BorrowedFd<'_>,
    points: &[(u64, u64)],
    pid: u32,
) -> io::Result<OwnedFd> {
    // The descriptor names the file that was analysed, whatever its path leads to by now.
    let path = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    syscall::attach(&MultiLink {
        program,
        path: &path,
        points,
        is_return,
        pid,
    })
}

/// A program that the kernel verifies in no time.
const SMALLEST: Program = Program::BioReplaced;

/// Returns whether the kernel has links of many uprobes, and compares processes and not threads.
///
/// Linux before 6.6 loads the programs all the same, and refuses each link as invalid; later ones refuse a directory as no
/// file. Those before 6.10 took the process of a link for a thread, and any number for that of one.
fn has_links(program: BorrowedFd<'_>) -> bool {
    let refusal = |pid| {
        let link = MultiLink {
            program,
            path: c"/",
            points: &[(0, 0)],
            is_return: false,
            pid,
        };
        syscall::attach(&link).err().and_then(|error| error.raw_os_error())
    };
    refusal(0) == Some(libc::EBADF) && refusal(u32::MAX) == Some(libc::EINVAL)
}

/// Links of many probes. Dropping them detaches the probes. Each link is closed on a thread of its own, so that the RCU
/// grace periods that the kernel waits for overlap.
#[derive(Debug, Default)]
pub(super) struct MultiLinks(Vec<OwnedFd>);

impl MultiLinks {
    /// Adds links.
    pub(super) fn extend(&mut self, links: impl IntoIterator<Item = OwnedFd>) {
        self.0.extend(links);
    }

    /// Moves all links of `other` here.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }
}

/// How many links are closed at the same time.
const AT_ONCE: usize = 64;

impl Drop for MultiLinks {
    fn drop(&mut self) {
        let mut links = std::mem::take(&mut self.0);
        while !links.is_empty() {
            let rest = links.split_off(links.len().min(AT_ONCE));
            thread::scope(|scope| {
                for link in links {
                    // If no thread can be spawned, the closure is dropped here, and closes the link.
                    drop(thread::Builder::new().spawn_scoped(scope, || drop(link)));
                }
            });
            links = rest;
        }
    }
}

fn unusable(error: &impl ToString) -> Refusal {
    Refusal::Object(error.to_string())
}

/// Puts the descriptors of maps into the instructions, and appends to each program the functions that it calls. Returns those
/// descriptors, which are of the programs' own.
fn link(object: &mut Object, ebpf: &Ebpf) -> Result<Vec<OwnedFd>, Refusal> {
    let mut created: HashMap<&str, OwnedFd> = HashMap::new();
    for (name, map) in ebpf.maps() {
        if let Some(fd) = fd_of(map) {
            created.insert(name, fd.try_clone_to_owned()?);
        }
    }
    let maps = std::mem::take(&mut object.maps);
    let with_fds = maps
        .iter()
        .filter_map(|(name, map)| Some((name.as_str(), created.get(name.as_str())?.as_raw_fd(), map)));
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object
        .relocate_maps(with_fds, &sections)
        .map_err(|error| unusable(&error))?;
    object.relocate_calls(&sections).map_err(|error| unusable(&error))?;
    Ok(created.into_values().collect())
}

/// Returns the descriptor of a map, if it is of a kind that the programs use.
fn fd_of(map: &Map) -> Option<BorrowedFd<'_>> {
    let (Map::Array(data)
    | Map::ArrayOfMaps(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::RingBuf(data)) = map
    else {
        return None;
    };
    Some(data.fd().as_fd())
}
