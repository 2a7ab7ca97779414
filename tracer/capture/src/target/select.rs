//! Which processes the user selected: the existing ones, and how the kernel recognises later ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use procfs::process::{Process, all_processes};
use tracer_ebpf::{FILE_NAME_BYTES, NameKind};

use super::{
    Error, check_is_process,
    names::{COMM_BYTES, is_long, is_named, near_names, padded, short},
    owner_of,
    user::{User, runs_as},
};
use crate::limits::MAX_CGROUP_DEPTH;

/// The processes to trace: those that match any of the criteria.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Process ids.
    pub pids: Vec<u32>,
    /// Names of programs.
    pub names: Vec<String>,
    /// Ids of containers, or at least their first twelve digits.
    pub containers: Vec<String>,
    /// Users.
    pub users: Vec<User>,
    /// Every process with a TLS library.
    pub all: bool,
    /// Whether descendants are selected too.
    pub follow: bool,
    /// Whether to wait if nothing matches yet.
    pub wait: bool,
}

impl Selection {
    /// Returns whether later processes may match that are not descendants of matching ones.
    pub const fn is_open(&self) -> bool {
        let is_closed = self.names.is_empty() && self.containers.is_empty() && self.users.is_empty();
        self.all || self.wait || !is_closed
    }

    /// Returns the names as `comm` has them, padded with zeros, and whether each was truncated.
    pub fn short_names(&self) -> BTreeMap<[u8; COMM_BYTES + 1], NameKind> {
        let mut short_names: BTreeMap<_, NameKind> = BTreeMap::new();
        for name in &self.names {
            let kind = if is_long(name) { NameKind::CUT } else { NameKind::WHOLE };
            let known = short_names.entry(padded(short(name))).or_default();
            *known = known.with(kind);
        }
        short_names
    }

    /// Returns the names that `comm` cannot hold, padded with zeros. A name too long for a file is left out: it cannot
    /// match.
    pub fn long_names(&self) -> impl Iterator<Item = [u8; FILE_NAME_BYTES]> {
        let long = self
            .names
            .iter()
            .filter(|name| is_long(name) && name.len() < FILE_NAME_BYTES);
        long.map(|name| padded(name.as_bytes()))
    }

    /// Returns whether a process matches one of the names that `comm` cannot hold. The kernel matches the others.
    pub fn has_long_name(&self, pid: u32) -> bool {
        let process = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok());
        let mut long = self.names.iter().filter(|name| is_long(name));
        process.is_some_and(|process| long.any(|name| is_named(&process, name)))
    }

    /// Returns the processes that run as one of the users now.
    pub fn pids_of_users(&self) -> BTreeSet<u32> {
        if self.users.is_empty() {
            return BTreeSet::new();
        }
        let processes: Vec<Process> = all_processes().into_iter().flatten().flatten().collect();
        pids_of(&processes, |process| runs_as(process, &self.users))
    }

    /// Returns the ids of the containers' control groups and of the groups inside them, in the cgroup v2 hierarchy.
    pub fn control_groups(&self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        if self.containers.is_empty() {
            return found;
        }
        for mount in unified_mounts() {
            self.search_groups(&mount, false, MAX_CGROUP_DEPTH, &mut found);
        }
        found
    }

    fn search_groups(&self, directory: &Path, inside: bool, depth: usize, found: &mut BTreeSet<u64>) {
        let named = directory.file_name().is_some_and(|name| self.names_container(name));
        let inside = inside || named;
        if inside && let Ok(metadata) = fs::metadata(directory) {
            // The inode number of a cgroup directory is the cgroup id (`kernfs_node.id` on 64-bit kernels).
            found.insert(metadata.ino());
        }
        let Some(deeper) = depth.checked_sub(1) else {
            return;
        };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.search_groups(&entry.path(), inside, deeper, found);
            }
        }
    }

    /// Returns whether a component of a cgroup path names one of the containers.
    fn names_container(&self, component: &OsStr) -> bool {
        let component = component.as_bytes();
        self.containers.iter().any(|id| has_id(component, id.as_bytes()))
    }
}

fn is_in_container(process: &Process, id: &str) -> bool {
    let groups = process.cgroups().map(|groups| groups.0).unwrap_or_default();
    let mut components = groups.iter().flat_map(|group| group.pathname.split('/'));
    components.any(|component| has_id(component.as_bytes(), id.as_bytes()))
}

/// Returns whether a component of a cgroup path contains a container id, of which `id` may be a prefix of at least twelve
/// digits. Runtimes add words of their own: `docker-ID.scope`.
fn has_id(component: &[u8], id: &[u8]) -> bool {
    component
        .split(|byte| matches!(byte, b'-' | b'.' | b':' | b'_'))
        .chain([component])
        .any(|word| word == id || (id.len() >= 12 && word.starts_with(id)))
}

/// Returns the existing processes that match, without their descendants and without this process.
///
/// # Errors
///
/// Fails if one of the criteria matches nothing, unless the selection waits, and for the id of a thread.
pub fn find(selection: &Selection) -> Result<BTreeSet<u32>, Error> {
    let mut found = BTreeSet::new();
    for pid in &selection.pids {
        if let Some(owner) = owner_of(*pid) {
            check_is_process(*pid, owner)?;
            found.insert(*pid);
        } else if !selection.wait {
            return Err(missing(*pid));
        }
    }
    let processes: Vec<Process> = all_processes().into_iter().flatten().flatten().collect();
    for name in &selection.names {
        let named = pids_of(&processes, |process| is_named(process, name));
        check(selection, &named, || Error::NoSuchName {
            name: name.clone(),
            near: near_names(&processes, name),
        })?;
        found.extend(named);
    }
    for id in &selection.containers {
        let inside = pids_of(&processes, |process| is_in_container(process, id));
        check(selection, &inside, || Error::NoSuchContainer(id.clone()))?;
        found.extend(inside);
    }
    for user in &selection.users {
        let own = pids_of(&processes, |process| runs_as(process, std::slice::from_ref(user)));
        check(selection, &own, || Error::NoProcessOfUser(user.name.clone()))?;
        found.extend(own);
    }
    if selection.all {
        found.extend(pids_of(&processes, |_| true));
    }
    found.remove(&std::process::id());
    Ok(found)
}

fn check(selection: &Selection, found: &BTreeSet<u32>, error: impl FnOnce() -> Error) -> Result<(), Error> {
    if found.is_empty() && !selection.wait {
        Err(error())
    } else {
        Ok(())
    }
}

fn pids_of(processes: &[Process], wanted: impl Fn(&Process) -> bool) -> BTreeSet<u32> {
    let own = std::process::id();
    let wanted = processes.iter().filter(|process| wanted(process));
    wanted
        .map(|process| process.pid.unsigned_abs())
        .filter(|pid| *pid != own)
        .collect()
}

/// Returns the `comm` of a process.
pub fn name_of(pid: u32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
}

/// Returns `pids` and all their descendants.
pub fn descendants_of(pids: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for process in all_processes().into_iter().flatten().flatten() {
        if let Ok(stat) = process.stat() {
            children
                .entry(stat.ppid.unsigned_abs())
                .or_default()
                .push(stat.pid.unsigned_abs());
        }
    }
    let mut found = pids.clone();
    let mut unvisited: Vec<u32> = pids.iter().copied().collect();
    while let Some(parent) = unvisited.pop() {
        let of_parent = children.remove(&parent).unwrap_or_default();
        unvisited.extend(of_parent.into_iter().filter(|child| found.insert(*child)));
    }
    found
}

/// Returns the error for a process that does not exist, with a hint if an inner PID namespace has a process of this id.
fn missing(pid: u32) -> Error {
    let mut outer = Vec::new();
    for process in all_processes().into_iter().flatten().flatten() {
        let inside = process
            .status()
            .ok()
            .and_then(|status| status.nspid)
            .unwrap_or_default();
        if inside.len() > 1 && inside.last().is_some_and(|last| last.unsigned_abs() == pid) {
            outer.push(process.pid.to_string());
        }
    }
    match outer.as_slice() {
        [] => Error::NoSuchProcess(pid),
        [_] => Error::OnlyInside {
            pid,
            inside: "but",
            outer: outer.concat(),
        },
        [..] => Error::OnlyInside {
            pid,
            inside: "but more than",
            outer: outer.join(" or -p "),
        },
    }
}

/// Returns the mount points of the cgroup v2 hierarchy.
fn unified_mounts() -> Vec<PathBuf> {
    let mounts = Process::myself()
        .and_then(|own| own.mountinfo())
        .map(|mounts| mounts.0)
        .unwrap_or_default();
    let unified = mounts.into_iter().filter(|mount| mount.fs_type == "cgroup2");
    unified.map(|mount| mount.mount_point).collect()
}

/// Returns the sum of the sizes of the descriptor tables of all matching processes and their descendants. It is an upper
/// bound on their open descriptors that is cheap to read.
pub fn descriptors_of(selection: &Selection) -> u64 {
    // Errors are reported when the selection is attached to.
    let found = find(selection).unwrap_or_default();
    let all = if selection.follow {
        descendants_of(&found)
    } else {
        found
    };
    all.into_iter().filter_map(descriptor_table_size).sum()
}

fn descriptor_table_size(pid: u32) -> Option<u64> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    process.status().ok().map(|status| status.fdsize.into())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_descriptor_table_is_as_large_as_the_open_descriptors() {
        let open: Vec<_> = (0..300).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(descriptor_table_size(std::process::id()) >= Some(300));
        drop(open);
        assert_eq!(descriptor_table_size(u32::MAX), None);
    }

    fn selection() -> Selection {
        Selection::default()
    }

    #[test]
    fn a_child_is_found_by_its_parent() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let found = descendants_of(&BTreeSet::from([std::process::id()]));
        assert!(found.contains(&child.id()) && found.contains(&std::process::id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_is_found_by_its_name() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let by_name = Selection {
            names: vec!["cat".to_owned()],
            ..selection()
        };
        assert!(find(&by_name).unwrap().contains(&child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_criterion_that_matches_nothing_is_an_error_without_wait() {
        let absent = Selection {
            names: vec!["no program of this name".to_owned()],
            ..selection()
        };
        assert!(matches!(find(&absent), Err(Error::NoSuchName { .. })));
        let waiting = Selection { wait: true, ..absent };
        assert_eq!(find(&waiting).unwrap(), BTreeSet::new());
        let no_pid = Selection {
            pids: vec![u32::MAX],
            ..selection()
        };
        assert!(matches!(find(&no_pid), Err(Error::NoSuchProcess(u32::MAX))));
        let no_user = Selection {
            users: vec!["4294967294".parse().unwrap()],
            ..selection()
        };
        assert!(no_user.pids_of_users().is_empty() && no_user.is_open());
        assert_eq!(
            find(&no_user).unwrap_err().to_string(),
            "no process runs as user 4294967294; --wait waits for one"
        );
        let no_container = Selection {
            containers: vec!["0123456789abcdef".to_owned()],
            ..selection()
        };
        assert!(matches!(find(&no_container), Err(Error::NoSuchContainer(_))));
    }

    #[test]
    fn a_container_is_found_by_its_id_or_twelve_digits_of_it() {
        let id = b"0123456789abcdef0123";
        let of = |component: &[u8], id: &[u8]| has_id(component, id);
        assert!(of(b"docker-0123456789abcdef0123.scope", id));
        assert!(of(b"0123456789abcdef0123", id));
        assert!(of(b"cri-containerd-0123456789abcdef0123.scope", b"0123456789ab"));
        assert!(!of(b"docker-0123456789abcdef0123.scope", b"0123"));
        assert!(!of(b"system.slice", id));
        assert!(of(b"my_box", b"my_box"));
    }

    #[test]
    fn a_long_name_is_truncated_for_comm_and_kept_in_full() {
        let names = [
            "a-name-of-twenty-two-b",
            "a-name-of-twenty-two-c",
            "nginx",
            "a-name-of-twent",
        ];
        let asked = Selection {
            names: names.map(str::to_owned).to_vec(),
            ..selection()
        };
        let short: Vec<_> = asked.short_names().into_iter().collect();
        let both = NameKind::CUT.with(NameKind::WHOLE);
        let nginx = *b"nginx\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(short, [(*b"a-name-of-twent\0", both), (nginx, NameKind::WHOLE)]);
        let long: Vec<_> = asked.long_names().collect();
        assert!(long.len() == 2 && long[0].starts_with(b"a-name-of-twenty-two-b\0"));
    }

    #[test]
    fn an_unknown_name_is_refused_with_similar_ones() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let shouted = Selection {
            names: vec!["CAT".to_owned()],
            ..selection()
        };
        let said = find(&shouted).unwrap_err().to_string();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(
            said.contains("CAT") && said.contains("there is") && said.contains("cat"),
            "{said}"
        );
    }

    #[test]
    fn programs_with_a_common_prefix_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut children = ["gateway-server-one", "gateway-server-two"].map(|name| {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink("/bin/cat", &path).unwrap();
            Command::new(path).stdin(Stdio::piped()).spawn().unwrap()
        });
        let by_name = Selection {
            names: vec!["gateway-server-one".to_owned()],
            ..selection()
        };
        assert_eq!(find(&by_name).unwrap(), BTreeSet::from([children[0].id()]));
        assert!(by_name.has_long_name(children[0].id()) && !by_name.has_long_name(children[1].id()));
        for child in &mut children {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}
