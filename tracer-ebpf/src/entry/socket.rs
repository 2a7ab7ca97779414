//! The kernel's functions and tracepoints of sockets.

use aya_ebpf::{
    macros::{fentry, kprobe, raw_tracepoint},
    programs::{FEntryContext, ProbeContext, RawTracePointContext},
};
use tracer_ebpf::{Direction, SocketEnd, TargetFlags};

use crate::{
    identity::{self, message::Header},
    memory::read_field,
    plain, target, transport,
};

/// `tcp_sendmsg(sock, message, size)`: a process sends through TCP.
#[fentry(function = "tcp_sendmsg")]
pub(crate) fn tcp_sendmsg(ctx: FEntryContext) -> i32 {
    sending(ctx.arg(0), ctx.arg(1));
    0
}

/// `tcp_sendmsg_locked(sock, message, size)`, a tracepoint since Linux 6.16, for kernels that allow no program at their
/// functions.
#[raw_tracepoint(tracepoint = "tcp_sendmsg_locked")]
pub(crate) fn tcp_sending(ctx: RawTracePointContext) -> i32 {
    sending(ctx.arg(0), ctx.arg(1));
    0
}

/// `unix_stream_sendmsg(socket, message, size)`: a process sends through a unix socket.
#[fentry(function = "unix_stream_sendmsg")]
pub(crate) fn unix_stream_sendmsg(ctx: FEntryContext) -> i32 {
    if let Some(sock) = read_field(ctx.arg(0), |offsets| &raw const offsets.socket_sk) {
        sending(sock, ctx.arg(1));
    }
    0
}

/// What every other process of the machine sends comes here too, and pays for one look-up.
#[inline(always)]
fn sending(sock: u64, message: u64) {
    if target::current_flags().is_some_and(|flags| flags.contains(TargetFlags::CIPHERTEXT)) {
        identity::find_sender(sock, Header(message));
    }
}

/// `inet_sock_set_state(sock, old, new)`: a socket is established or begins to listen, or somebody ends it.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub(crate) fn socket_state(ctx: RawTracePointContext) -> i32 {
    transport::enter_state(ctx.arg(0), ctx.arg(2));
    0
}

/// `tcp_destroy_sock(sock)`.
#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
pub(crate) fn socket_destroyed(ctx: RawTracePointContext) -> i32 {
    plain::destroyed(ctx.arg(0));
    transport::destroy(ctx.arg(0));
    0
}

/// `unix_release(socket)`: nobody holds a UNIX socket any more. There is no tracepoint for it.
#[kprobe]
pub(crate) fn unix_socket_released(ctx: ProbeContext) -> u32 {
    if let Some(socket) = ctx.arg(0)
        && let Some(sock) = read_field(socket, |offsets| &raw const offsets.socket_sk)
    {
        plain::destroyed(sock);
    }
    0
}

/// `tcp_receive_reset(sock)`: the peer reset a connection.
#[raw_tracepoint(tracepoint = "tcp_receive_reset")]
pub(crate) fn reset_received(ctx: RawTracePointContext) -> i32 {
    transport::reset(ctx.arg(0), SocketEnd::RESET_REMOTE);
    0
}

/// `tcp_send_reset(sock, packet)`: the kernel reset a connection.
#[raw_tracepoint(tracepoint = "tcp_send_reset")]
pub(crate) fn reset_sent(ctx: RawTracePointContext) -> i32 {
    transport::reset(ctx.arg(0), SocketEnd::RESET_LOCAL);
    0
}

/// `sock_recv_length(sock, result, flags)`, a tracepoint since Linux 6.3: a process has received.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
pub(crate) fn socket_received(ctx: RawTracePointContext) -> i32 {
    let (result, flags): (u64, u64) = (ctx.arg(1), ctx.arg(2));
    plain::moved(ctx.arg(0), result as i32, Direction::READ, flags as u32);
    0
}
