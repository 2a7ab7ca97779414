//! Reads the socket of a descriptor, and the addresses of TCP sockets, from `/proc`.

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

/// The connected TCP sockets of a network namespace, by their inodes.
#[derive(Debug, Default)]
pub struct ConnectedSockets(HashMap<u64, (SocketAddr, SocketAddr)>);

impl ConnectedSockets {
    /// Reads the sockets in the network namespace of a process; none if the process has exited.
    pub fn seen_by(pid: u32) -> Self {
        let Some(process) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else {
            return Self::default();
        };
        let entries = process.tcp().into_iter().chain(process.tcp6()).flatten();
        Self::from_entries(entries)
    }

    fn from_entries(entries: impl Iterator<Item = TcpNetEntry>) -> Self {
        let connected = entries.filter(has_peer);
        Self(
            connected
                .map(|entry| (entry.inode, (entry.local_address, entry.remote_address)))
                .collect(),
        )
    }

    /// Returns the local and the remote address of a socket.
    pub fn find(&self, inode: u64) -> Option<(SocketAddr, SocketAddr)> {
        self.0.get(&inode).copied()
    }
}

/// Returns whether a socket has a peer. The inode is 0 if no process has the socket open.
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

/// Returns the inode of the socket that a descriptor of a thread refers to now; `None` if it is not a socket.
pub fn inode_of_descriptor(pid: u32, tid: u32, descriptor: i32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/task/{tid}/fd/{descriptor}")).ok()?;
    socket_inode(link.as_os_str().as_bytes())
}

/// Returns the inode of a socket from the target of a descriptor's link.
pub(super) fn socket_inode(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(number).ok()?.parse().ok()
}

/// Returns the inode of a process's network namespace.
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

    fn addresses(descriptor: RawFd) -> Option<(SocketAddr, SocketAddr)> {
        let own = std::process::id();
        let tid = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        let inode = inode_of_descriptor(own, tid, descriptor)?;
        ConnectedSockets::seen_by(own).find(inode)
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
            assert_eq!(addresses(client.as_raw_fd()), Some((from, there)));
            assert_eq!(addresses(server.as_raw_fd()), Some((there, from)));
            assert_eq!(addresses(listener.as_raw_fd()), None, "it has no peer");
        }
    }

    #[test]
    fn a_file_and_a_closed_descriptor_have_no_inode() {
        let own = std::process::id();
        let file = File::open("/proc/self/stat").unwrap();
        assert_eq!(inode_of_descriptor(own, own, file.as_raw_fd()), None);
        assert_eq!(inode_of_descriptor(own, own, i32::MAX), None);
        assert_eq!(inode_of_descriptor(own, own, -1), None);
        assert_eq!(ConnectedSockets::seen_by(u32::MAX).find(1), None);
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
    fn this_process_is_in_its_own_network_namespace() {
        assert_eq!(netns_of(std::process::id()), Some(super::super::own_netns()));
        assert_eq!(netns_of(u32::MAX), None);
    }
}
