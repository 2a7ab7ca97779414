//! Which kernel socket a connection goes through, until that socket is destroyed.
//!
//! A connection knows its socket by the address of the `struct sock`, and the table of sockets leads back. Both sides name
//! the generation: an address is used again, by sockets and by TLS objects. Sockets whose end no tracepoint reports, unix
//! sockets among them, are not in the table: their connections have addresses, and are not marked as closing.

use aya_ebpf::bindings::BPF_NOEXIST;
use tracer_ebpf::{
    AddressSource, ConnectionState, Flow, Identity, PlainState, SettingFlags, SiteConfig, SocketEnd, SocketState,
};

use super::socket::{family, inode_of, is_internet};
use crate::{
    flow::{cookie, generation},
    maps::{CONNECTIONS, OPENED, SOCKETS, settings},
    memory::read_field,
    record::count_total,
    task::current_task,
};

const IPPROTO_TCP: u16 = 6;

/// In .rodata and not on the stack.
static NEW: SocketState = SocketState::NEW;

/// Returns the socket of a connection, while it is the connection's; else 0.
#[inline(always)]
pub(crate) fn sock_of(identity: &Identity, flow: &Flow) -> u64 {
    let known = identity.sock != 0
        && SOCKETS
            .get_ptr(identity.sock)
            // SAFETY: other CPUs may hold the value now; the generation is one word, which is written once.
            .is_some_and(|socket| unsafe { (*socket).generation } == generation(flow));
    if known { identity.sock } else { 0 }
}

/// Returns whether a socket is that of another connection of the process, which goes on.
#[inline(never)]
pub(super) fn is_taken(sock: u64, object: u64, tgid: u32) -> bool {
    let Some(socket) = SOCKETS.get_ptr(sock) else {
        return false;
    };
    // SAFETY: tracepoints on other CPUs may hold the value now; they write none of the fields read here.
    let other = unsafe { &*socket };
    // A connection without TLS is over then: its socket carries TLS from now on, as behind a proxy.
    if other.tgid != tgid || other.object == object || other.plain != PlainState::TLS {
        return false;
    }
    CONNECTIONS
        .get_ptr(other.address())
        .is_some_and(|connection| goes_through(connection, other, sock))
}

/// Returns whether the connection that uses an object now is the one of a socket, and goes through that.
#[inline(always)]
fn goes_through(connection: *const ConnectionState, socket: &SocketState, sock: u64) -> bool {
    // SAFETY: the thread that uses the object may change both words now: then they no longer match.
    unsafe { generation(&(*connection).flow) == socket.generation && (*connection).identity.sock == sock }
}

/// Notes which socket a connection goes through, if the socket's end will be reported.
#[inline(never)]
pub(super) fn bind(identity: &mut Identity, flow: &Flow, object: u64, sock: u64, source: AddressSource) {
    identity.source = source;
    if !is_watched(sock) {
        return;
    }
    let is_new = SOCKETS.insert(sock, &NEW, BPF_NOEXIST.into()).is_ok();
    let Some(socket) = SOCKETS.get_ptr_mut(sock) else {
        count_total(|totals| &raw mut totals.socket_table_full);
        return;
    };
    // SAFETY: a tracepoint on another CPU may find the value as soon as it is in the table. Until the generation matches
    // it changes no connection, and it writes none of the fields written here.
    let socket = unsafe { &mut *socket };
    if !is_new && socket.generation != generation(flow) {
        // Of an earlier socket whose end was missed, or of bytes before TLS. The entry is not replaced: another socket could
        // get its memory while a second thread of the connection still holds it.
        (socket.opened_ns, socket.received, socket.acknowledged) = (0, 0, 0);
        (socket.srtt_us, socket.retransmits) = (0, 0);
        (socket.ended, socket.closed, socket.lift) = (SocketEnd::UNKNOWN, 0, SiteConfig::UNKNOWN);
        socket.plain = if socket.plain == PlainState::HTTP {
            PlainState::REPLACED
        } else {
            PlainState::TLS
        };
    }
    tie(socket, flow, object, sock);
    identity.sock = sock;
}

/// Notes in the entry of a socket which connection of the current process goes through it.
#[inline(always)]
fn tie(socket: &mut SocketState, flow: &Flow, object: u64, sock: u64) {
    socket.object = object;
    socket.generation = generation(flow);
    socket.tgid = current_task().tgid;
    socket.cookie = cookie(flow);
    if settings().contains(SettingFlags::CONNECTIONS)
        && let Some(opened) = OPENED.get_ptr(sock)
    {
        // SAFETY: the table may hand the value to another socket now, but only if this one is gone.
        socket.opened_ns = unsafe { *opened };
    }
}

/// Adds a socket that carries no TLS so far; `None`, and counted, if there is no room.
#[inline(always)]
pub(crate) fn add_plain(sock: u64) -> Option<*mut SocketState> {
    let is_new = SOCKETS.insert(sock, &NEW, BPF_NOEXIST.into()).is_ok();
    let Some(socket) = SOCKETS.get_ptr_mut(sock) else {
        count_total(|totals| &raw mut totals.socket_table_full);
        return None;
    };
    if is_new {
        // SAFETY: as in [`bind`]. Another thread that moves bytes of the socket now takes it for one of TLS, whose bytes the
        // library's hooks report.
        let new = unsafe { &mut *socket };
        if !is_watched(sock) {
            new.inode = inode_number(sock);
        }
        new.plain = PlainState::UNDECIDED;
    }
    Some(socket)
}

/// Returns the number of a socket's inode; 1, which is no socket's, if it cannot be read.
#[inline(always)]
pub(crate) fn inode_number(sock: u64) -> u32 {
    inode_of(sock).unwrap_or(1) as u32
}

/// Notes that a socket carries HTTP, and stands for a connection of the current process.
#[inline(always)]
pub(crate) fn bind_plain(socket: &mut SocketState, connection: &mut ConnectionState, sock: u64) {
    connection.identity.sock = sock;
    connection.identity.source = AddressSource::SOCKET;
    tie(socket, &connection.flow, sock, sock);
    socket.plain = PlainState::HTTP;
}

/// Leads from a connection's socket to the lift that reports what the connection writes.
#[inline(always)]
pub(crate) fn set_lift(sock: u64, site: u16) {
    if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        // SAFETY: as in [`bind`]; the field is written by threads that bind a connection alone, and is one word.
        unsafe { (*socket).lift = site };
    }
}

/// A connection that goes through a socket and has a lift.
pub(crate) struct Sender<'a> {
    pub(crate) connection: &'a mut ConnectionState,
    pub(crate) object: u64,
    pub(crate) lift: u16,
}

/// Finds what is kept of a socket.
#[inline(always)]
pub(crate) fn socket(sock: u64) -> Option<*mut SocketState> {
    SOCKETS.get_ptr_mut(sock)
}

/// Finds the connection of the current process that sends through a socket of the table, if a lift reports what it writes.
#[inline(always)]
pub(crate) fn sender<'a>(socket: *const SocketState, sock: u64) -> Option<Sender<'a>> {
    // SAFETY: tracepoints on other CPUs may hold the value now; they write none of the fields read here.
    let socket = unsafe { &*socket };
    if socket.lift == SiteConfig::UNKNOWN || socket.tgid != current_task().tgid {
        return None;
    }
    let connection = CONNECTIONS.get_ptr_mut(socket.address())?;
    goes_through(connection, socket, sock).then(|| Sender {
        // SAFETY: the process is in a call on the object, which it must not use for writing in two threads at once. Were it
        // to send something else through the socket meanwhile, its sequence would not move, and nothing is written.
        connection: unsafe { &mut *connection },
        object: socket.object,
        lift: socket.lift,
    })
}

/// Returns whether a tracepoint reports the end of a socket.
#[inline(always)]
pub(crate) fn is_watched(sock: u64) -> bool {
    is_internet(family(sock)) && read_field(sock, |offsets| &raw const offsets.sock_protocol) == Some(IPPROTO_TCP)
}

/// Returns whether a connection's socket began to close and the process no longer holds it.
#[inline(always)]
pub(crate) fn is_over(identity: &Identity, flow: &Flow) -> bool {
    identity.closing != 0 && is_gone(identity, flow)
}

#[inline(never)]
fn is_gone(identity: &Identity, flow: &Flow) -> bool {
    let sock = sock_of(identity, flow);
    sock == 0 || read_field(sock, |offsets| &raw const offsets.sock_socket) == Some(0_u64)
}

/// Marks the connection that goes through a socket as closing, unless its object has become another one's: from now on
/// each call checks whether the process still holds the socket.
#[inline(never)]
pub(crate) fn mark_closing(socket: &SocketState, sock: u64) {
    if let Some(connection) = CONNECTIONS.get_ptr_mut(socket.address())
        && goes_through(connection, socket, sock)
    {
        // SAFETY: the thread that uses the object may hold the value now. The mark is a byte of its own, written through
        // the pointer; should the object become another connection's meanwhile, the mark costs that one a check.
        unsafe { (*connection).identity.closing = 1 };
    }
}
