//! Reads the names of a UNIX socket and its peer by socket diagnostics (`sock_diag(7)`), which find one socket by its
//! inode. `/proc/net/unix` does not name the peer.

#![expect(clippy::host_endian_bytes, reason = "the kernel and this process are on one machine")]

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with},
};

// `include/uapi/linux/{netlink,sock_diag,unix_diag}.h`
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_UNIX: u8 = 1;
const UDIAG_SHOW_NAME: u32 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const SOCK_STREAM: u8 = 1;
const TCP_ESTABLISHED: u8 = 1;

/// Larger than any response: two headers, a name and a peer.
const RESPONSE_BYTES: usize = 1024;

/// Sizes of `struct nlmsghdr`, of `struct nlmsghdr` followed by `struct unix_diag_msg`, and of `struct rtattr`.
const HEADER_BYTES: usize = 16;
const RESPONSE_HEAD_BYTES: usize = 32;
const ATTRIBUTE_BYTES: usize = 4;

/// Size of `struct nlmsghdr` followed by `struct unix_diag_req`.
const REQUEST_BYTES: u32 = 40;

/// One end of a connection.
#[derive(Debug, Default, Eq, PartialEq)]
struct End {
    name: Vec<u8>,
    peer: Option<u32>,
}

/// Returns the names of a connected socket and of its peer, as in `sun_path`; empty for an unbound one. The socket must be
/// in this process's network namespace.
pub fn unix_names(inode: u64) -> Option<[Vec<u8>; 2]> {
    let own = query(u32::try_from(inode).ok()?)?;
    let peer = query(own.peer?)?;
    Some([own.name, peer.name])
}

/// Queries one socket; returns `None` on an error, too.
fn query(inode: u32) -> Option<End> {
    let mut bytes = [0; RESPONSE_BYTES];
    let length = exchange(&request(inode), &mut bytes).ok()?;
    parse(bytes.get(..length)?, inode)
}

fn exchange(request: &[u8], response: &mut [u8; RESPONSE_BYTES]) -> Result<usize, Errno> {
    let family = AddressFamily::NETLINK;
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&socket, request, SendFlags::empty())?;
    // The kernel handles the request within `send`, so the response is there.
    recv(&socket, response.as_mut_slice(), RecvFlags::DONTWAIT).map(|(bytes, _)| bytes)
}

fn request(inode: u32) -> Vec<u8> {
    let [[a, b], [c, d]] = [SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST].map(u16::to_ne_bytes);
    let kind_and_flags = u32::from_ne_bytes([a, b, c, d]);
    let (sequence, port, any_state, any_cookie) = (1, 0, u32::MAX, u32::MAX);
    let family = u32::from_ne_bytes([AF_UNIX, 0, 0, 0]);
    let show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER;
    let header = [REQUEST_BYTES, kind_and_flags, sequence, port];
    let request = [family, any_state, inode, show, any_cookie, any_cookie];
    header.into_iter().chain(request).flat_map(u32::to_ne_bytes).collect()
}

/// Parses a response. An error has another message type, and yields `None`.
fn parse(bytes: &[u8], inode: u32) -> Option<End> {
    let (head, mut rest) = bytes.split_at_checked(RESPONSE_HEAD_BYTES)?;
    let [_, _, _, _, kind @ ..] = head else { return None };
    let is_response = number::<2>(kind).map(u16::from_ne_bytes) == Some(SOCK_DIAG_BY_FAMILY);
    let socket = head.get(HEADER_BYTES..)?;
    let [AF_UNIX, SOCK_STREAM, TCP_ESTABLISHED, _, found @ ..] = socket else {
        return None;
    };
    if !is_response || number(found).map(u32::from_ne_bytes) != Some(inode) {
        return None;
    }
    let mut end = End::default();
    while let Some([a, b, c, d]) = number(rest) {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(ATTRIBUTE_BYTES..length)?;
        match u16::from_ne_bytes([c, d]) {
            UNIX_DIAG_NAME => end.name = value.to_vec(),
            UNIX_DIAG_PEER => end.peer = Some(u32::from_ne_bytes(number(value)?)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(ATTRIBUTE_BYTES)..).unwrap_or_default();
    }
    Some(end)
}

/// Returns the first `N` bytes, if there are as many.
fn number<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::{
        os::{
            fd::AsRawFd,
            linux::net::SocketAddrExt as _,
            unix::net::{SocketAddr, UnixListener, UnixStream},
        },
        process::id,
    };

    use super::*;
    use crate::target::inode_of_descriptor;

    fn inode(socket: &impl AsRawFd) -> u64 {
        inode_of_descriptor(id(), id(), socket.as_raw_fd()).unwrap()
    }

    #[test]
    fn both_ends_have_the_name_they_are_bound_to_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let name = [path.as_os_str().as_encoded_bytes(), b"\0"].concat();
        assert_eq!(unix_names(inode(&server)), Some([name.clone(), Vec::new()]));
        assert_eq!(unix_names(inode(&client)), Some([Vec::new(), name]));
        assert_eq!(unix_names(inode(&listener)), None, "it has no peer");
        drop(client);
        assert_eq!(unix_names(inode(&server)), None, "its peer is gone");
    }

    #[test]
    fn an_abstract_name_begins_with_a_zero() {
        let name = format!("tlscope-test-{}", id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).unwrap();
        assert_eq!(unix_names(inode(&client)), None, "the connection is not accepted yet");
        let (_server, _) = listener.accept().unwrap();
        let [_, peer] = unix_names(inode(&client)).unwrap();
        assert_eq!(peer, [b"\0", name.as_bytes()].concat());
    }

    #[test]
    fn a_tcp_socket_and_an_unknown_inode_have_no_names() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(unix_names(inode(&tcp)), None);
        assert_eq!((unix_names(u64::MAX), unix_names(0)), (None, None));
    }

    #[test]
    fn a_truncated_response_or_one_about_another_socket_is_rejected() {
        let mut bytes = [0; RESPONSE_BYTES];
        let (one, _other) = UnixStream::pair().unwrap();
        let inode = u32::try_from(inode(&one)).unwrap();
        let length = exchange(&request(inode), &mut bytes).unwrap();
        let response = &bytes[..length];
        let whole = parse(response, inode).unwrap();
        assert!(whole.peer.is_some());
        assert_eq!(parse(response, inode + 1), None);
        for cut in 0..length {
            let part = parse(&response[..cut], inode).and_then(|end| end.peer);
            assert!(part.is_none() || part == whole.peer, "cut at {cut}");
        }
    }
}
