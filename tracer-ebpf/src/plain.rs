//! Connections without TLS: what traced processes move through sockets, at the tracepoints where a socket has sent or received.
//!
//! A socket whose first bytes may begin HTTP stands for a connection; any other is left alone. Where the beginning of a socket
//! of TCP is not seen, and of UNIX sockets, each turn of the conversation is examined, up to a number. TCP's sequence numbers
//! show what passed unseen in between; bytes that are in no memory of the system call pass without being captured. A socket
//! belongs to the first process that moves bytes through it, for as long as that is traced.

use tracer_ebpf::{
    Carrier, ConnectionState, Cookie, Direction, Flow, MAX_BUFFERS, MAX_TURNS, PLAIN_SITE, PassedCause, PlainState,
    Role, SocketState, Transfer,
};

use crate::{
    beginning::{EXAMINED, may_be_frame, may_be_http},
    capture::send_bytes,
    connection::{begin_plain, end_plain, find, make_known, skip_unknown},
    flow,
    identity::{
        binding::{self, add_plain, bind_plain, inode_number},
        stream,
    },
    maps::SOCKETS,
    memory::{copy_user, forgotten, read_user},
    passed, skip,
    syscall::{self, Memory},
    target,
    task::{current_task, is_on},
};

/// Flags of a receive (`include/linux/socket.h`) whose bytes are not next in the stream: out of band, left to be received
/// again, or of an error.
const NOT_IN_STREAM: u32 = 0x1 | 0x2 | 0x2000;
/// Bytes are dropped instead of copied.
const MSG_TRUNC: u32 = 0x20;

/// An entry in an array of buffers (`struct iovec`, `include/uapi/linux/uio.h`).
#[derive(Clone, Copy)]
#[repr(C)]
struct Buffer {
    address: u64,
    length: u64,
}

/// Bytes of such an entry.
const ENTRY: u64 = size_of::<Buffer>() as u64;
/// Returned for an entry that cannot be read.
const UNREADABLE: u64 = u64::MAX;

/// Captures what a socket has sent or received for the current process, if that is traced and the socket carries HTTP.
#[inline(always)]
pub(crate) fn moved(sock: u64, result: i32, direction: Direction, flags: u32) {
    if result > 0 && target::current_flags().is_some() && may_carry_http(state(binding::socket(sock))) {
        moved_by_traced(sock, result, direction, flags);
    }
}

/// Returns whether a socket in a state may carry HTTP without TLS.
#[inline(always)]
pub(crate) fn may_carry_http(state: PlainState) -> bool {
    state == PlainState::UNDECIDED || state == PlainState::HTTP
}

/// Captures what such a socket has sent or received for the current process, which is traced.
#[inline(always)]
pub(crate) fn moved_by_traced(sock: u64, result: i32, direction: Direction, flags: u32) {
    if result <= 0 || flags & NOT_IN_STREAM != 0 || !is_on() {
        return;
    }
    if let Some(connection) = connection_of(sock, result as u64, direction) {
        make_known(connection, sock);
        capture(connection, sock, direction, flags);
    }
}

/// Returns what is known of a socket, if it is in the table. What another protocol goes through is not, where another socket may
/// have its address.
#[inline(always)]
pub(crate) fn state(socket: Option<*mut SocketState>) -> PlainState {
    let Some(socket) = socket else {
        return PlainState::UNDECIDED;
    };
    // SAFETY: other threads may write the entry now, each field as a whole.
    let (plain, inode) = unsafe { ((*socket).plain, (*socket).inode) };
    if plain == PlainState::OTHER && inode != 0 {
        return PlainState::UNDECIDED;
    }
    plain
}

/// Returns the connection that a socket stands for, with the bytes that were moved noted in it; `None` if it stands for none.
#[inline(never)]
fn connection_of<'a>(sock: u64, bytes: u64, direction: Direction) -> Option<&'a mut ConnectionState> {
    let socket = match SOCKETS.get_ptr_mut(sock) {
        Some(socket) => socket,
        None => add(sock)?,
    };
    // SAFETY: another thread may move bytes of the socket in the other direction now. Both write words that hold either way.
    let socket = unsafe { &mut *socket };
    if socket.inode != 0 && socket.inode != inode_number(sock) {
        // Another socket has the address.
        end(socket, sock);
        socket.inode = inode_number(sock);
        (socket.turns, socket.last) = (0, 0);
        socket.plain = PlainState::UNDECIDED;
    }
    if socket.plain == PlainState::UNDECIDED && recognise(socket, sock, bytes, direction) != 0 {
        return begin(socket, sock, bytes, direction);
    }
    if socket.plain == PlainState::HTTP {
        return resume(socket, sock, bytes, direction);
    }
    None
}

/// Ends the connection of a socket that a connection of a TLS library goes through now.
#[inline(never)]
pub(crate) fn end_replaced(sock: u64) {
    if let Some(socket) = SOCKETS.get_ptr_mut(sock) {
        end_plain(sock, current_task().tgid);
        // SAFETY: as in [`connection_of`].
        unsafe { (*socket).plain = PlainState::TLS };
    }
}

/// Adds a socket that is a stream; `None` if it is none.
#[inline(always)]
fn add(sock: u64) -> Option<*mut SocketState> {
    let kind = stream::kind(sock);
    if kind == stream::NONE {
        return None;
    }
    let socket = add_plain(sock)?;
    if kind == stream::ENCRYPTED {
        // SAFETY: as in [`connection_of`].
        unsafe { (*socket).plain = PlainState::OTHER };
    }
    Some(socket)
}

/// Returns 1 if bytes may begin HTTP. If they do not, and are a stream's first ones or one turn of many, the socket is left
/// alone from then on.
#[inline(never)]
fn recognise(socket: &mut SocketState, sock: u64, bytes: u64, direction: Direction) -> u32 {
    let way = direction.0 + 1;
    if socket.last == way {
        return 0;
    }
    socket.last = way;
    let is_start = socket.inode == 0 && stream::is_start(sock, direction, bytes) != 0;
    let begins = begins_http(sock, bytes);
    if begins == MESSAGE || begins == FRAME && !is_start {
        return 1;
    }
    socket.turns += 1;
    if is_start || socket.turns >= MAX_TURNS {
        socket.plain = PlainState::OTHER;
    }
    0
}

/// What [`begins_http`] returns.
const NOTHING: u32 = 0;
/// What a connection of HTTP may begin with.
const MESSAGE: u32 = 1;
/// A frame in the middle of a connection.
const FRAME: u32 = 2;

#[inline(never)]
fn begins_http(sock: u64, bytes: u64) -> u32 {
    let mut memory = Memory::NONE;
    if syscall::find(sock, &mut memory) != syscall::FOUND {
        return NOTHING;
    }
    let mut length = bytes;
    if memory.buffers != 0 {
        let Some(first) = read_user::<Buffer>(memory.address) else {
            return NOTHING;
        };
        memory.address = first.address;
        if first.length < length {
            length = first.length;
        }
    }
    let mut beginning = [0; EXAMINED];
    let count = if length < EXAMINED as u64 {
        length
    } else {
        EXAMINED as u64
    };
    let count = forgotten(count);
    if count > EXAMINED as u64 {
        return NOTHING;
    }
    // SAFETY: there is room for as many bytes.
    if !unsafe { copy_user((&raw mut beginning).cast(), memory.address, count as u32) } {
        return NOTHING;
    }
    if may_be_http(&beginning, count) != 0 {
        MESSAGE
    } else if may_be_frame(&beginning, count) != 0 {
        FRAME
    } else {
        NOTHING
    }
}

/// Begins the connection of a socket with these bytes.
#[inline(never)]
fn begin<'a>(socket: &mut SocketState, sock: u64, bytes: u64, direction: Direction) -> Option<&'a mut ConnectionState> {
    let connection = begin_plain(sock, current_task().tgid, cookie(direction))?;
    bind_plain(socket, connection, sock);
    if socket.inode == 0 {
        connection.flow.from_start = stream::is_start(sock, direction, bytes) as u8;
        connection.flow.sequences = [
            stream::sequence(sock, Direction::READ).unwrap_or(0),
            stream::sequence(sock, Direction::WRITE).unwrap_or(0),
        ];
    }
    note(connection, sock, bytes, direction);
    Some(connection)
}

/// Finds the connection of a socket, which has moved more bytes. Where the process that it belongs to has ended, or runs
/// another program, another connection begins.
#[inline(never)]
fn resume<'a>(
    socket: &mut SocketState,
    sock: u64,
    bytes: u64,
    direction: Direction,
) -> Option<&'a mut ConnectionState> {
    let tgid = current_task().tgid;
    if socket.tgid != tgid && target::flags_of(socket.tgid).is_some() {
        return None;
    }
    let known = find(sock, tgid).and_then(|connection| {
        let flow = &mut connection.flow;
        let is_it = flow::generation(flow) == socket.generation && flow::is_of_program(flow, tgid);
        is_it.then_some(connection)
    });
    let Some(connection) = known else {
        return begin(socket, sock, bytes, direction);
    };
    if socket.inode == 0 {
        catch_up(connection, sock, bytes, direction);
    }
    note(connection, sock, bytes, direction);
    Some(connection)
}

/// Compares how far TCP has come in a direction with the bytes that were moved, and reports what passed unseen before them. If
/// it has not come as far as that, another thread moves bytes at the same time, and their order is not known.
#[inline(never)]
fn catch_up(connection: &mut ConnectionState, sock: u64, bytes: u64, direction: Direction) {
    let Some(sequence) = stream::sequence(sock, direction) else {
        return;
    };
    let before = flow::replace_sequence(&mut connection.flow, direction, sequence);
    let unseen = sequence.wrapping_sub(before).wrapping_sub(bytes as u32) as i32;
    if unseen == 0 || unseen == 1 && direction == Direction::READ && stream::may_have_ended(sock) {
        return;
    }
    if unseen > 0 {
        note(connection, sock, unseen as u64, direction);
        let transfer = &mut connection.passing[flow::side(direction)];
        pass(transfer, &mut connection.flow, PassedCause::NOT_CAPTURED);
    } else {
        skip_unknown(
            connection,
            sock,
            cookie(direction),
            direction,
            PassedCause::NOT_CAPTURED,
        );
    }
}

/// Notes bytes that were moved.
#[inline(always)]
fn note(connection: &mut ConnectionState, sock: u64, bytes: u64, direction: Direction) {
    let transfer = &mut connection.passing[flow::side(direction)];
    transfer.object = sock;
    transfer.cookie = cookie(direction);
    transfer.moved = bytes;
    transfer.tgid = current_task().tgid;
    transfer.direction = direction;
}

/// Returns the cookie of a record.
#[inline(always)]
fn cookie(direction: Direction) -> Cookie {
    let role = if direction == Direction::READ {
        Role::Read
    } else {
        Role::Write
    };
    Cookie::new(PLAIN_SITE, role).with_carrier(Carrier::PLAIN)
}

/// Captures the bytes that were noted.
#[inline(never)]
fn capture(connection: &mut ConnectionState, sock: u64, direction: Direction, flags: u32) {
    let mut memory = Memory::NONE;
    let found = if flags & MSG_TRUNC == 0 {
        syscall::find(sock, &mut memory)
    } else {
        syscall::UNKNOWN
    };
    let ConnectionState { flow, passing, .. } = connection;
    let transfer = &mut passing[flow::side(direction)];
    if found == syscall::KERNEL {
        pass_file(transfer, flow);
    } else if found != syscall::FOUND {
        pass(transfer, flow, PassedCause::NOT_CAPTURED);
    } else if memory.buffers == 0 {
        transfer.buffer = memory.address;
        send_bytes(transfer, flow);
        flow::advance(flow, transfer);
    } else {
        gather(transfer, flow, &memory);
    }
}

/// Captures bytes from the buffers of an array.
#[inline(always)]
fn gather(transfer: &mut Transfer, flow: &mut Flow, memory: &Memory) {
    let mut left = transfer.moved;
    for index in 0..u64::from(MAX_BUFFERS) {
        if left == 0 || index >= memory.buffers {
            break;
        }
        let sent = send_buffer(transfer, flow, memory.address + index * ENTRY, left);
        if sent == UNREADABLE {
            break;
        }
        left -= sent;
    }
    if left != 0 {
        transfer.moved = left;
        pass(transfer, flow, PassedCause::NOT_CAPTURED);
    }
}

/// Captures up to `left` bytes of the buffer that an entry describes; returns how many that were, or [`UNREADABLE`].
///
/// A global function, and so verified once and by itself: see `capture`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn send_buffer(transfer: *mut Transfer, flow: *mut Flow, entry: u64, left: u64) -> u64 {
    if transfer.is_null() || flow.is_null() {
        return UNREADABLE;
    }
    // SAFETY: not null. The transfer is no part of the flow, and only this thread moves bytes of their direction.
    let (transfer, flow) = unsafe { (&mut *transfer, &mut *flow) };
    let Some(buffer) = read_user::<Buffer>(entry) else {
        return UNREADABLE;
    };
    let bytes = if buffer.length < left { buffer.length } else { left };
    if bytes != 0 {
        transfer.buffer = buffer.address;
        transfer.moved = bytes;
        send_bytes(transfer, flow);
        flow::advance(flow, transfer);
    }
    bytes
}

/// Moves a direction on by bytes that the kernel moves from or to a file: those of no interest are skipped like others.
#[inline(always)]
fn pass_file(transfer: &mut Transfer, flow: &mut Flow) {
    let bytes = transfer.moved;
    transfer.moved = skip::pass_over(transfer, flow);
    flow::advance(flow, transfer);
    transfer.moved = bytes - transfer.moved;
    if transfer.moved != 0 {
        pass(transfer, flow, PassedCause::SENDFILE);
    }
}

/// Moves a direction on by bytes that are not captured.
#[inline(always)]
fn pass(transfer: &mut Transfer, flow: &mut Flow, cause: PassedCause) {
    passed::report_known(transfer, flow, cause);
    flow::advance(flow, transfer);
}

/// Ends the connection of a socket that nobody holds any more.
#[inline(always)]
pub(crate) fn destroyed(sock: u64) {
    if let Some(socket) = SOCKETS.get_ptr(sock) {
        // SAFETY: no thread is in a system call on a socket that is destroyed.
        end(unsafe { &*socket }, sock);
    }
}

#[inline(always)]
fn end(socket: &SocketState, sock: u64) {
    if socket.plain == PlainState::HTTP || socket.plain == PlainState::REPLACED {
        end_plain(sock, socket.tgid);
    }
}
