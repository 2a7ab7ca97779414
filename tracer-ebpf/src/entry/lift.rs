//! Lifts: what a process writes is read where its socket sends, with no probe in the process.
//!
//! One of the programs is attached, by what the kernel has. Each fires for every send of the machine: that no lift reports the
//! socket's connection is known after one look-up.

use aya_ebpf::{
    macros::{fentry, raw_tracepoint},
    programs::{FEntryContext, RawTracePointContext},
};
use tracer_ebpf::{Cookie, Direction, PlainState, Role};

use crate::{
    flow, hits,
    identity::binding::{self, Sender},
    plain,
    task::{current_task, is_on, is_traced, since_ns, target_flags},
};

/// `sock_send_length(sock, result, flags)`, a tracepoint since Linux 6.3: once per call that sends.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub(crate) fn lift_sent(ctx: RawTracePointContext) -> i32 {
    lift(ctx.arg(0));
    0
}

/// The same with what is sent without TLS, so that a process that is not traced pays for one look-up.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub(crate) fn socket_sent(ctx: RawTracePointContext) -> i32 {
    if is_traced() != 0 {
        let sock = ctx.arg(0);
        let state = plain::state(sock);
        if state == PlainState::REPLACED {
            plain::end_replaced(sock);
        }
        if state == PlainState::TLS || state == PlainState::REPLACED {
            lift(sock);
        } else if plain::may_carry_http(state) {
            let result: u64 = ctx.arg(1);
            plain::moved_by_traced(sock, result as i32, Direction::WRITE, 0);
        }
    }
    0
}

/// `tcp_sendmsg_locked(sock, message, packet, size)`, a tracepoint since Linux 6.16: once per piece of a send.
#[raw_tracepoint(tracepoint = "tcp_sendmsg_locked")]
pub(crate) fn lift_sending(ctx: RawTracePointContext) -> i32 {
    lift(ctx.arg(0));
    0
}

/// `tcp_sendmsg(sock, message, size)`.
#[fentry(function = "tcp_sendmsg")]
pub(crate) fn lift_tcp_sendmsg(ctx: FEntryContext) -> i32 {
    lift(ctx.arg(0));
    0
}

#[inline(always)]
fn lift(sock: u64) {
    if let Some(Sender {
        connection,
        object,
        lift,
    }) = binding::sender(sock)
        && is_on()
        && let tgid = current_task().tgid
        // Another program may run in the process now, with the socket.
        && flow::generation(&connection.flow) >= since_ns(tgid)
        && let Some(flags) = target_flags(tgid)
    {
        hits::sent(connection, object, Cookie::new(lift.into(), Role::Write), sock, flags);
    }
}
