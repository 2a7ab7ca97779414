//! Which socket a descriptor leads to, and whom that is connected with, as `/proc` tells.
//!
//! In: a thread's descriptor; a process, whose network namespace is meant. Out: the socket's inode; the connected TCP
//! sockets of the namespace by their inodes. Refuses a descriptor that is no socket, and sockets that have no peer: one
//! that listens, one whose peer has not answered yet, one that was reset.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
};

use procfs::{
    net::{TcpNetEntry, TcpState},
    process::Process,
};

/// The connected TCP sockets of a network namespace.
#[derive(Debug, Default)]
pub struct Connected(HashMap<u64, (SocketAddr, SocketAddr)>);

impl Connected {
    /// Reads those that a process sees; none where it has ended.
    pub fn seen_by(pid: u32) -> Self {
        let Some(process) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else {
            return Self::default();
        };
        let entries = process.tcp().into_iter().chain(process.tcp6()).flatten();
        Self::among(entries)
    }

    fn among(entries: impl Iterator<Item = TcpNetEntry>) -> Self {
        let connected = entries.filter(has_peer);
        Self(
            connected
                .map(|entry| (entry.inode, (entry.local_address, entry.remote_address)))
                .collect(),
        )
    }

    /// The addresses of a socket: its own, and its peer's.
    pub fn find(&self, inode: u64) -> Option<(SocketAddr, SocketAddr)> {
        self.0.get(&inode).copied()
    }
}

/// A socket that no process has any more has the inode 0.
fn has_peer(entry: &TcpNetEntry) -> bool {
    let connected = match entry.state {
        TcpState::Established
        | TcpState::CloseWait
        | TcpState::FinWait1
        | TcpState::FinWait2
        | TcpState::LastAck
        | TcpState::Closing => true,
        TcpState::SynSent
        | TcpState::SynRecv
        | TcpState::TimeWait
        | TcpState::Close
        | TcpState::Listen
        | TcpState::NewSynRecv => false,
    };
    connected && entry.inode != 0 && entry.remote_address.port() != 0 && !entry.remote_address.ip().is_unspecified()
}

/// The inode of the socket that a thread's descriptor leads to now.
pub fn inode_of_descriptor(pid: u32, tid: u32, descriptor: i32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/task/{tid}/fd/{descriptor}")).ok()?;
    socket_inode(link.as_os_str().as_bytes())
}

fn socket_inode(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(number).ok()?.parse().ok()
}

/// The inode of a process's network namespace.
pub fn netns_of(pid: u32) -> Option<u32> {
    let inode = fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino();
    u32::try_from(inode).ok()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        net::{TcpListener, TcpStream},
        os::fd::{AsRawFd as _, RawFd},
    };

    use super::*;

    fn look(descriptor: RawFd) -> Option<(SocketAddr, SocketAddr)> {
        let own = std::process::id();
        let tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let inode = inode_of_descriptor(own, tid, descriptor)?;
        Connected::seen_by(own).find(inode)
    }

    #[test]
    fn both_ends_of_a_connection_have_their_addresses() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(host) else {
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, from) = listener.accept().unwrap();
            let there = listener.local_addr().unwrap();
            assert_eq!(look(client.as_raw_fd()), Some((from, there)));
            assert_eq!(look(server.as_raw_fd()), Some((there, from)));
            assert_eq!(look(listener.as_raw_fd()), None, "it has no peer");
        }
    }

    #[test]
    fn what_is_no_socket_or_not_there_has_no_inode() {
        let own = std::process::id();
        let file = File::open("/proc/self/stat").unwrap();
        assert_eq!(inode_of_descriptor(own, own, file.as_raw_fd()), None);
        assert_eq!(inode_of_descriptor(own, own, i32::MAX), None);
        assert_eq!(inode_of_descriptor(own, own, -1), None);
        assert_eq!(Connected::seen_by(u32::MAX).find(1), None);
    }

    #[test]
    fn only_a_sockets_link_has_an_inode() {
        assert_eq!(socket_inode(b"socket:[4711]"), Some(4711));
        for link in [
            "socket:[]",
            "socket:[1",
            "pipe:[1]",
            "/tmp/socket:[1]",
            "socket:[-1]",
            "",
        ] {
            assert_eq!(socket_inode(link.as_bytes()), None, "{link}");
        }
    }

    #[test]
    fn this_process_is_in_its_own_network() {
        assert_eq!(netns_of(std::process::id()), Some(super::super::own_netns()));
        assert_eq!(netns_of(u32::MAX), None);
    }
}
