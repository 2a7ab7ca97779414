//! From a write of Go to the socket that it sends through, where the connection below is of an unknown kind.
//!
//! Go encrypts and sends within the call that a tap is at. A send belongs to it if the same thread makes it, in the same
//! goroutine, with the return address of the call still on the goroutine's stack, and if it begins with a record that may
//! hold what the call was given. A wrapper that lets another goroutine send, or sends something else first, has no match.
//!
//! BoringSSL without names hands what it encrypts to a BIO within the call that a tap is at: there the call is noted, so that
//! the ciphertext is remembered.

use aya_ebpf::programs::ProbeContext;
use tracer_ebpf::{
    AddressKey, AddressSource, CIPHERTEXT_BYTES, ConnectionState, Cookie, Direction, Role, SiteConfig, WriteState,
    may_hold,
};

use super::{
    Way, binding, ciphertext,
    introduction::introduce,
    message::{self, Message, Room},
    socket, thread,
};
use crate::{
    flow,
    maps::{CONNECTIONS, SITES, WRITES},
    memory::read_user,
    operands,
    task::{Task, current_task, user_goroutine, user_stack_pointer},
};

/// In .rodata and not on the stack.
static NONE: WriteState = WriteState::NONE;

/// From a goroutine to the bounds of its stack (`g` in `src/runtime/runtime2.go`, go1.17 to go1.27).
const STACK_LOW: u64 = 0;
const STACK_HIGH: u64 = 8;
/// Bytes of a return address.
const WORD: u64 = 8;

/// Remembers a write of a connection whose socket is not known, at the call that will encrypt and send: the hit that was just
/// captured, if it is one of a write.
#[inline(always)]
pub(crate) fn remember(ctx: &ProbeContext, connection: &ConnectionState, cookie: Cookie) {
    let source = connection.identity.source.0;
    let leads_nowhere = source == AddressSource::CUSTOM_BIO.0 || source == AddressSource::UNKNOWN_LAYOUT.0;
    if connection.identity.sock == 0 && leads_nowhere {
        note(ctx, connection, cookie);
        note_call(ctx, connection, cookie);
    }
}

/// Notes a write of Go.
#[inline(never)]
fn note(ctx: &ProbeContext, connection: &ConnectionState, cookie: Cookie) {
    let hit = &connection.passing[flow::side(Direction::WRITE)];
    if cookie.role().and_then(Role::moves) != Some(Direction::WRITE) || hit.moved == 0 {
        return;
    }
    let Some(site) = SITES.get(cookie.site()) else {
        return;
    };
    if site.net_call == SiteConfig::UNKNOWN {
        return;
    }
    let goroutine = operands::goroutine(ctx, cookie);
    let Some(high) = read_user::<u64>(goroutine + STACK_HIGH) else {
        return;
    };
    Way::Nested.prepare();
    let task = current_task();
    // A full table drops the oldest: that connection is known from a later write.
    let _inserted = WRITES.insert(&task.tid, &NONE, 0);
    let Some(write) = WRITES.get_ptr_mut(&task.tid) else {
        return;
    };
    // SAFETY: only this thread uses its value. A full table may hand it to another thread, whose writes are then lost or
    // mixed with these: what is read is compared with the thread's own stack in [`find`].
    let write = unsafe { &mut *write };
    write.object = hit.object;
    write.generation = flow::generation(&connection.flow);
    write.goroutine = goroutine;
    write.depth = high.wrapping_sub(operands::pointer(ctx).wrapping_sub(WORD));
    write.back = operands::address(ctx) + u64::from(site.net_call);
    write.bytes = hit.moved;
    write.tgid = task.tgid;
}

/// Notes a write of BoringSSL. The ciphertext leads to the socket: what the call leaves on the stack may outlive it.
#[inline(never)]
fn note_call(ctx: &ProbeContext, connection: &ConnectionState, cookie: Cookie) {
    let hit = &connection.passing[flow::side(Direction::WRITE)];
    if cookie.role().and_then(Role::moves) == Some(Direction::WRITE)
        && hit.moved != 0
        && let Some(site) = SITES.get(cookie.site())
        && site.frame != SiteConfig::UNKNOWN
    {
        let end = operands::pointer(ctx) + u64::from(site.frame);
        thread::note(current_task(), hit.object, end, cookie);
    }
}

/// Finds the write that a send of the current thread is part of, and notes the socket of its connection.
#[inline(never)]
pub(crate) fn find<M: Message>(sock: u64, message: M) {
    let task = current_task();
    let Some(write) = WRITES.get_ptr(&task.tid) else {
        return;
    };
    // SAFETY: only this thread writes its value, which a full table may hand to another one: what was read is compared with
    // the thread's own stack below.
    let write = unsafe { &*write };
    if write.tgid == task.tgid && is_within(write) && begins_with_record(message, write.bytes) {
        found(write, task, sock);
    }
}

/// Returns whether the current thread has yet to return from the call of a write. Stacks of Go move, but what is on them keeps
/// its distance from their upper end.
#[inline(always)]
fn is_within(write: &WriteState) -> bool {
    is_on_stack(write).unwrap_or(false)
}

#[inline(always)]
fn is_on_stack(write: &WriteState) -> Option<bool> {
    let (goroutine, sp) = (user_goroutine()?, user_stack_pointer()?);
    if goroutine != write.goroutine {
        return None;
    }
    let low: u64 = read_user(goroutine + STACK_LOW)?;
    let high: u64 = read_user(goroutine + STACK_HIGH)?;
    let slot = high.wrapping_sub(write.depth);
    let back: u64 = read_user(slot)?;
    Some(low <= sp && sp < slot && slot < high && back == write.back)
}

#[inline(never)]
fn begins_with_record<M: Message>(message: M, bytes: u64) -> bool {
    let mut room: Room = [0; 2 * CIPHERTEXT_BYTES];
    if message::first_bytes(message, &mut room) == 0 {
        return false;
    }
    let [a, b, c, d, e, ..] = room;
    may_hold([a, b, c, d, e], bytes)
}

#[inline(never)]
fn found(write: &WriteState, task: Task, sock: u64) {
    let Some(connection) = CONNECTIONS.get_ptr_mut(AddressKey::new(write.object, task.tgid)) else {
        return;
    };
    // SAFETY: the thread is in a write of the object, and the caller must not write in two threads at once. A thread that reads
    // may look at the identity now: both write words that any later call may write again.
    let connection = unsafe { &mut *connection };
    let object = write.object;
    let is_it = flow::generation(&connection.flow) == write.generation && connection.identity.sock == 0;
    if !is_it || !socket::has_peer(sock) || binding::is_taken(sock, object, task.tgid) {
        return;
    }
    ciphertext::forget(&mut connection.identity, task.tgid);
    binding::bind(
        &mut connection.identity,
        &connection.flow,
        object,
        sock,
        AddressSource::NESTED_SEND,
    );
    introduce(connection, object, sock);
    let _removed = WRITES.remove(&task.tid);
}
