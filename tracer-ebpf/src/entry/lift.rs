//! Lifts: what a process writes is read where its socket sends, with no probe in the process.
//!
//! One of the programs is attached, by what the kernel has. Each fires for every send of the machine: a process that is not
//! traced pays for one look-up.

use aya_ebpf::{
    macros::{fentry, raw_tracepoint},
    programs::{FEntryContext, RawTracePointContext},
};
use tracer_ebpf::{Cookie, Direction, PlainState, Role, SocketState, TargetFlags};

use crate::{
    flow, hits,
    identity::{
        self,
        binding::{self, Sender},
        message::Sent,
    },
    plain, target,
    task::{current_task, is_on},
};

/// `sock_send_length(sock, result, flags)`, a tracepoint since Linux 6.3: once per call that sends, through any socket. What it
/// sends shows which socket a connection uses, too.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub(crate) fn lift_sent(ctx: RawTracePointContext) -> i32 {
    if let Some(flags) = target::current_flags() {
        let sock = ctx.arg(0);
        find_sender(sock, flags);
        lift(binding::socket(sock), sock, flags);
    }
    0
}

/// The same with what is sent without TLS.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub(crate) fn socket_sent(ctx: RawTracePointContext) -> i32 {
    if let Some(flags) = target::current_flags() {
        let sock = ctx.arg(0);
        find_sender(sock, flags);
        let socket = binding::socket(sock);
        let state = plain::state(socket);
        if state == PlainState::REPLACED {
            plain::end_replaced(sock);
        }
        if state == PlainState::TLS || state == PlainState::REPLACED {
            lift(socket, sock, flags);
        } else if plain::may_carry_http(state) {
            let result: u64 = ctx.arg(1);
            plain::moved_by_traced(sock, result as i32, Direction::WRITE, 0);
        }
    }
    0
}

/// Finds the connection of a process whose messages show which sockets its connections use.
#[inline(always)]
fn find_sender(sock: u64, flags: TargetFlags) {
    if flags.contains(TargetFlags::CIPHERTEXT) {
        identity::find_sender(sock, Sent(sock));
    }
}

/// `tcp_sendmsg_locked(sock, message, packet, size)`, a tracepoint since Linux 6.16: once per piece of a send.
#[raw_tracepoint(tracepoint = "tcp_sendmsg_locked")]
pub(crate) fn lift_sending(ctx: RawTracePointContext) -> i32 {
    lift_of_traced(ctx.arg(0));
    0
}

/// `tcp_sendmsg(sock, message, size)`.
#[fentry(function = "tcp_sendmsg")]
pub(crate) fn lift_tcp_sendmsg(ctx: FEntryContext) -> i32 {
    lift_of_traced(ctx.arg(0));
    0
}

#[inline(always)]
fn lift_of_traced(sock: u64) {
    if let Some(flags) = target::current_flags() {
        lift(binding::socket(sock), sock, flags);
    }
}

#[inline(always)]
fn lift(socket: Option<*mut SocketState>, sock: u64, flags: TargetFlags) {
    if let Some(socket) = socket
        && let Some(Sender {
            connection,
            object,
            lift,
        }) = binding::sender(socket, sock)
        && is_on()
        // Another program may run in the process now, with the socket.
        && flow::is_of_program(&mut connection.flow, current_task().tgid)
    {
        hits::sent(connection, object, Cookie::new(lift.into(), Role::Write), sock, flags);
    }
}
