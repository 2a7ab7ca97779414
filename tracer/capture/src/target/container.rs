//! Matches processes by container: a container runtime names a cgroup after the id of its container.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use procfs::process::Process;

use crate::limits::MAX_CGROUP_DEPTH;

/// Returns the ids of the containers' control groups and of the groups inside them, in the cgroup v2 hierarchy.
pub(super) fn control_groups(containers: &[String]) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    if containers.is_empty() {
        return found;
    }
    for mount in unified_mounts() {
        search(&mount, containers, false, MAX_CGROUP_DEPTH, &mut found);
    }
    found
}

fn search(directory: &Path, containers: &[String], inside: bool, depth: usize, found: &mut BTreeSet<u64>) {
    let named = directory.file_name().is_some_and(|name| is_one_of(containers, name));
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
            search(&entry.path(), containers, inside, deeper, found);
        }
    }
}

fn is_one_of(containers: &[String], component: &OsStr) -> bool {
    containers.iter().any(|id| has_id(component.as_bytes(), id.as_bytes()))
}

/// Returns whether a process is in a cgroup of a container.
pub(super) fn is_in_container(process: &Process, id: &str) -> bool {
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

/// Returns the mount points of the cgroup v2 hierarchy.
fn unified_mounts() -> Vec<PathBuf> {
    let mounts = Process::myself()
        .and_then(|own| own.mountinfo())
        .map(|mounts| mounts.0)
        .unwrap_or_default();
    let unified = mounts.into_iter().filter(|mount| mount.fs_type == "cgroup2");
    unified.map(|mount| mount.mount_point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
