//! Matches processes by the TCP ports that they listen on, in any network namespace.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use procfs::process::{Process, all_processes};

use super::{
    liveness::{forked_by, name_of},
    sockets::socket_inode,
};

/// The listening sockets of the selected ports, and who has them.
#[derive(Debug, Default)]
pub struct Listeners(Holders);

/// The processes that have a descriptor of each socket, and the path of one, by the inode of the socket.
type Holders = BTreeMap<u64, BTreeMap<u32, PathBuf>>;

impl Listeners {
    /// Returns the processes that listen on a port, and those that forked them, as `of_ports` does. The descriptors of
    /// all processes are read only if a socket is new or if a process has closed its own: it may have handed it on.
    pub fn find(&mut self, ports: &[u16]) -> BTreeSet<u32> {
        let Self(holders) = self;
        let processes: Vec<Process> = all_processes().into_iter().flatten().flatten().collect();
        let sockets = listening_sockets(&processes, ports);
        let is_known = |inode: &u64| {
            let of_socket = holders.get(inode).filter(|of_socket| !of_socket.is_empty());
            of_socket.is_some_and(|of_socket| of_socket.values().all(|path| socket_at(path) == Some(*inode)))
        };
        if !sockets.keys().all(is_known) {
            *holders = holders_of(&processes, &sockets);
        }
        holders.retain(|inode, _| sockets.contains_key(inode));
        with_masters(holders.values().flat_map(BTreeMap::keys).copied())
    }
}

/// Returns the processes that listen on each port. With a process come its ancestors that have not executed another program
/// since they forked, as the master of a gateway that replaces its workers.
pub(super) fn of_ports(processes: &[Process], ports: &[u16]) -> Vec<(u16, BTreeSet<u32>)> {
    if ports.is_empty() {
        return Vec::new();
    }
    let sockets = listening_sockets(processes, ports);
    let holders = holders_of(processes, &sockets);
    let of_port = |port: u16| {
        let own = holders.iter().filter(|(inode, _)| sockets.get(inode) == Some(&port));
        (
            port,
            with_masters(own.flat_map(|(_, of_socket)| of_socket.keys()).copied()),
        )
    };
    ports.iter().map(|port| of_port(*port)).collect()
}

/// Returns processes and the masters that forked them.
fn with_masters(pids: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for pid in pids {
        let mut next = Some(pid);
        while let Some(pid) = next.filter(|pid| found.insert(*pid)) {
            next = forked_by(pid);
        }
    }
    found
}

/// Returns the listening sockets of the ports in all network namespaces that a process is in: their inodes, which are unique
/// among all namespaces, and ports.
fn listening_sockets(processes: &[Process], ports: &[u16]) -> BTreeMap<u64, u16> {
    let mut namespaces = BTreeSet::new();
    let mut found = BTreeMap::new();
    for process in processes {
        let Ok(namespace) = fs::metadata(format!("/proc/{}/ns/net", process.pid)) else {
            continue;
        };
        if namespaces.contains(&namespace.ino()) {
            continue;
        }
        for table in ["tcp", "tcp6"] {
            // A process that exits now leaves its namespace to the next one that is in it.
            if let Ok(table) = File::open(format!("/proc/{}/net/{table}", process.pid)) {
                namespaces.insert(namespace.ino());
                let sockets = BufReader::new(table).lines().skip(1).map_while(Result::ok);
                let listening = sockets.map_while(|line| parse_listening(&line));
                found.extend(listening.filter(|(_, port)| ports.contains(port)));
            }
        }
    }
    found
}

/// Parses a line of `/proc/PID/net/tcp`; `None` if its socket does not listen. Those that do come first, so that the
/// connections of a busy gateway need not be read (`tcp_get_idx` in `net/ipv4/tcp_ipv4.c`, v6.18).
fn parse_listening(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let mut words = line.split_ascii_whitespace();
    let (_, port) = words.nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    words.nth(1).filter(|state| *state == LISTEN)?;
    let inode = words.nth(5)?.parse().ok()?;
    Some((inode, port))
}

/// Returns the processes that have a descriptor of each socket.
fn holders_of(processes: &[Process], sockets: &BTreeMap<u64, u16>) -> Holders {
    let mut holders = Holders::new();
    if sockets.is_empty() {
        return holders;
    }
    for pid in processes.iter().map(|process| process.pid.unsigned_abs()) {
        if is_system_manager(pid) {
            continue;
        }
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for path in descriptors.map(|descriptor| descriptor.path()) {
            if let Some(inode) = socket_at(&path).filter(|inode| sockets.contains_key(inode)) {
                holders.entry(inode).or_default().insert(pid, path);
            }
        }
    }
    holders
}

/// Returns the inode of the socket that a descriptor in `/proc` refers to.
fn socket_at(descriptor: &Path) -> Option<u64> {
    socket_inode(fs::read_link(descriptor).ok()?.as_os_str().as_bytes())
}

/// Returns whether a process is one that listens for its services before they start, as systemd does: what answers is a
/// service, and every process descends from it.
fn is_system_manager(pid: u32) -> bool {
    pid == 1 && name_of(pid).is_some_and(|name| matches!(name.as_str(), "systemd" | "init"))
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::OwnedFd,
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    fn all() -> Vec<Process> {
        all_processes().unwrap().flatten().collect()
    }

    fn listens(port: u16) -> bool {
        let found = of_ports(&all(), &[port]);
        found.iter().any(|(_, pids)| pids.contains(&std::process::id()))
    }

    /// Waits: a process that another test forks has the descriptors of this one until it executes its program.
    fn until(mut is_true: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_true() {
            assert!(Instant::now() < deadline, "it has not become true");
        }
    }

    #[test]
    fn a_listener_is_found_by_its_port_at_any_address() {
        for host in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(host) else {
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let _client = TcpStream::connect(("localhost", port)).ok();
            assert!(listens(port), "{host}");
            drop(listener);
            until(|| !listens(port));
        }
    }

    #[test]
    fn a_client_does_not_listen_on_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!listens(client.local_addr().unwrap().port()));
    }

    #[test]
    fn a_process_that_was_handed_the_socket_listens_too() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut listeners = Listeners::default();
        assert!(listeners.find(&[port]).contains(&std::process::id()));
        let handed = Stdio::from(OwnedFd::from(listener));
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stderr(handed)
            .spawn()
            .unwrap();
        let found = listeners.find(&[port]);
        assert!(found.contains(&child.id()), "{found:?}");
        assert_eq!(forked_by(child.id()), None, "it has executed another program");
        child.kill().unwrap();
        child.wait().unwrap();
        until(|| listeners.find(&[port]).is_empty());
        assert!(listeners.0.is_empty());
    }

    #[test]
    fn only_a_listening_socket_has_a_line() {
        let line = |state| {
            format!(
                "   0: 00000000:20FB 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100"
            )
        };
        assert_eq!(parse_listening(&line("0A")), Some((4711, 8443)));
        assert_eq!(parse_listening(&line("01")), None);
        let v6 =
            "   1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 5";
        assert_eq!(parse_listening(v6), Some((5, 443)));
        for line in [
            "",
            "0:",
            "0: x 0:0 0A",
            "0: 0:zz 0:0 0A 0 0 0 0 0 5",
            "0: 0:1 0:0 0A 0 0 0 0 0 x",
        ] {
            assert_eq!(parse_listening(line), None, "{line}");
        }
    }
}
