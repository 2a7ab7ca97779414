//! A socket to a syslog server.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    net::{TcpStream, ToSocketAddrs as _, UdpSocket},
    os::unix::net::UnixDatagram,
    time::Duration,
};

use super::destination::Destination;
use crate::limits::MAX_DATAGRAM_BYTES;

/// How long it may take to connect.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long a write may wait for a server that takes no more.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// A socket.
#[derive(Debug)]
pub(super) enum Connection {
    Tcp(TcpStream),
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// What became of messages.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// How many of the first ones were handed to the kernel as a whole.
    pub(super) whole: usize,
    /// Why the next one was not.
    pub(super) error: Option<Failure>,
}

/// Why a message was not sent.
#[derive(Debug)]
pub(super) enum Failure {
    /// No socket of this kind takes a message that is so long.
    TooLong,
    /// The connection is of no more use.
    Connection(io::Error),
}

impl Connection {
    pub(super) fn open(destination: &Destination) -> io::Result<Self> {
        match destination {
            Destination::Tcp(address) => {
                let mut last = io::Error::from(io::ErrorKind::NotFound);
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT_TIME) {
                        Ok(stream) => {
                            stream.set_write_timeout(Some(WRITE_TIME))?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Destination::Udp(address) => {
                let mut last = io::Error::from(io::ErrorKind::NotFound);
                for address in address.to_socket_addrs()? {
                    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    let socket = UdpSocket::bind(any)?;
                    match socket.connect(address) {
                        Ok(()) => {
                            socket.set_write_timeout(Some(WRITE_TIME))?;
                            return Ok(Self::Udp(socket));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Destination::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(WRITE_TIME))?;
                Ok(Self::Unix(socket))
            }
        }
    }

    /// Sends messages in their order.
    pub(super) fn send(&mut self, messages: &VecDeque<Vec<u8>>) -> Sent {
        match self {
            Self::Tcp(stream) => send_stream(stream, messages),
            Self::Udp(socket) => send_datagrams(messages, MAX_DATAGRAM_BYTES, |message| socket.send(message)),
            Self::Unix(socket) => send_datagrams(messages, usize::MAX, |message| socket.send(message)),
        }
    }
}

/// Sends messages at once. What the kernel has taken of one that is not whole is of no use to the server, which has its length.
fn send_stream(stream: &mut TcpStream, messages: &VecDeque<Vec<u8>>) -> Sent {
    if let Err(error) = check_open(stream) {
        return Sent {
            whole: 0,
            error: Some(Failure::Connection(error)),
        };
    }
    let bytes: Vec<u8> = messages.iter().flatten().copied().collect();
    let mut written = 0;
    let mut error = None;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(0) => error = Some(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => {}
            Err(failed) => error = Some(failed),
        }
        if error.is_some() {
            break;
        }
    }
    let mut end = 0;
    let is_whole = |message: &&Vec<u8>| {
        end += message.len();
        end <= written
    };
    Sent {
        whole: messages.iter().take_while(is_whole).count(),
        error: error.map(Failure::Connection),
    }
}

/// Checks that the server has not closed the connection: the kernel would take a message for it all the same.
fn check_open(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match peeked {
        Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn send_datagrams(
    messages: &VecDeque<Vec<u8>>,
    longest: usize,
    mut send_one: impl FnMut(&[u8]) -> io::Result<usize>,
) -> Sent {
    let mut sent = Sent::default();
    for message in messages {
        let result = if message.len() > longest {
            Err(TOO_LONG.into())
        } else {
            send_one(message)
        };
        sent.error = match result {
            Ok(_) => None,
            Err(error) if error.kind() == TOO_LONG || error.raw_os_error() == Some(EMSGSIZE) => Some(Failure::TooLong),
            Err(error) => Some(Failure::Connection(error)),
        };
        if sent.error.is_some() {
            break;
        }
        sent.whole += 1;
    }
    sent
}

const TOO_LONG: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// A datagram is larger than the socket takes. The standard library has no kind for it.
const EMSGSIZE: i32 = rustix::io::Errno::MSGSIZE.raw_os_error();
