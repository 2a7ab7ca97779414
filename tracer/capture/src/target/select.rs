//! Which processes the user selected: the existing ones, and how the kernel recognises later ones.

use std::collections::{BTreeMap, BTreeSet};

use procfs::process::{Process, all_processes};
use tracer_ebpf::{FILE_NAME_BYTES, NameKind};

use super::{
    Error, check_is_process,
    container::{control_groups, is_in_container},
    listeners,
    names::{COMM_BYTES, is_long, is_named, padded, short, similar_names},
    owner_of,
    user::{User, runs_as},
};

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
    /// TCP ports that are listened on.
    pub ports: Vec<u16>,
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
        let is_closed =
            self.names.is_empty() && self.containers.is_empty() && self.users.is_empty() && self.ports.is_empty();
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
        control_groups(&self.containers)
    }
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
            hint: similar_names(&processes, name),
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
    for (port, listeners) in listeners::of_ports(&processes, &selection.ports) {
        check(selection, &listeners, || Error::NoListener(port))?;
        found.extend(listeners);
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
            inside: "an inner one has",
            outer: outer.concat(),
        },
        [..] => Error::OnlyInside {
            pid,
            inside: "several inner ones have",
            outer: outer.join(" or -p "),
        },
    }
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
    use std::{
        fs,
        process::{Command, Stdio},
    };

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
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let no_listener = Selection {
            ports: vec![port],
            ..selection()
        };
        assert!(no_listener.is_open());
        assert_eq!(
            find(&no_listener).unwrap_err().to_string(),
            format!("no process listens on TCP port {port}; --wait waits for one")
        );
        let no_container = Selection {
            containers: vec!["0123456789abcdef".to_owned()],
            ..selection()
        };
        assert!(matches!(find(&no_container), Err(Error::NoSuchContainer(_))));
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
