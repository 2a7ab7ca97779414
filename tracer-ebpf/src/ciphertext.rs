//! From an `SSL` object with a BIO of its own to its socket, by the ciphertext that goes out.
//!
//! In: what a TLS library hands to its BIO within a call, and what a traced process sends through a socket. Out: the
//! connection's socket, where both begin with the same bytes. Refuses bytes that two connections could have in common:
//! only what holds random or encrypted bytes is remembered, and what two connections handed out names neither.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::bpf_ktime_get_ns,
    macros::{fentry, raw_tracepoint, uprobe},
    programs::{FEntryContext, ProbeContext, RawTracePointContext},
};
use tracer_ebpf::{
    AddressKey, AddressSource, CIPHERTEXT_BYTES, CiphertextKey, ConnectionState, SiteConfig, TargetFlags, ThreadState,
};

use crate::{
    connection,
    lifecycle::{self, count_total},
    maps::{CIPHERTEXTS, CONNECTIONS, PROCESSES, SITES},
    memory::{add, copy_user, read_field, read_user},
    message::{self, Room},
    registers::{argument, entry_sp},
    scope::{current_task, traced_task},
    socket, thread, transport,
};

/// How long a piece is looked for before a later one takes its place. Buffers in between gather pieces, and the first
/// goes out first.
const KEPT_NS: u64 = 100_000_000;

/// Remembers how the ciphertext begins that a TLS library hands to its BIO.
#[uprobe]
pub(crate) fn bio_write(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task()
        && flags.contains(TargetFlags::CIPHERTEXT)
        && (argument::<2>(&ctx) as i32) >= CIPHERTEXT_BYTES as i32
        && let Some(thread) = thread::current(task, entry_sp(&ctx))
    {
        remember(thread, argument::<0>(&ctx), argument::<1>(&ctx));
    }
    0
}

#[inline(never)]
fn remember(thread: *const ThreadState, bio: u64, data: u64) {
    // SAFETY: the caller hands over a live map value, which only this thread writes.
    let thread = unsafe { &*thread };
    let Some(connection) = connection::current(thread.ssl, thread.tgid, thread.cookie) else {
        return;
    };
    // SAFETY: a live map value; no other thread uses this SSL object now.
    let state = unsafe { &*connection };
    if is_named(state) || !leads_elsewhere(thread, bio) || is_looked_for(state) {
        return;
    }
    forget(connection, thread.tgid);
    if read_piece(connection, data, thread.tgid) != 0 {
        look_for(connection, thread.ssl);
    }
}

#[inline(always)]
fn is_named(connection: &ConnectionState) -> bool {
    connection.sock != 0 || connection.source.0 == AddressSource::CIPHERTEXT.0
}

/// Tells whether a BIO is the one the connection writes to, where that is known, and not a socket's own.
#[inline(always)]
fn leads_elsewhere(thread: &ThreadState, bio: u64) -> bool {
    let Some(site) = SITES.get(thread.cookie.site()) else {
        return true;
    };
    if site.wbio != SiteConfig::UNKNOWN && read_user(thread.ssl + u64::from(site.wbio)) != Some(bio) {
        return false;
    }
    !site.knows_descriptor() || socket::descriptor_of_bio(thread.ssl, site) < 0
}

/// Tells whether a piece is looked for that has not waited for long.
#[inline(always)]
fn is_looked_for(connection: &ConnectionState) -> bool {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    connection.pending_ns != 0 && now - connection.pending_ns < KEPT_NS
}

/// Reads the first bytes; 0 when others may have the same.
#[inline(never)]
fn read_piece(connection: *mut ConnectionState, data: u64, tgid: u32) -> u32 {
    // SAFETY: the caller hands over a live map value; no other thread uses this SSL object now.
    let piece = unsafe { &mut (*connection).piece };
    piece.tgid = tgid;
    // SAFETY: the piece has room for the bytes.
    let read = unsafe { copy_user((&raw mut piece.bytes).cast(), data, CIPHERTEXT_BYTES as u32) };
    (read && piece.is_unique()).into()
}

#[inline(always)]
fn look_for(connection: *mut ConnectionState, ssl: u64) {
    // SAFETY: the caller hands over a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &mut *connection };
    if CIPHERTEXTS.insert(&connection.piece, &ssl, BPF_NOEXIST.into()).is_err() {
        match CIPHERTEXTS.get_ptr_mut(&connection.piece) {
            // SAFETY: a live map value. The same bytes from two connections name neither.
            Some(owner) => unsafe { *owner = 0 },
            None => count_total(|totals| &raw mut totals.ciphertext_table_full),
        }
        return;
    }
    if lifecycle::keep(connection.piece.tgid) == 0 {
        let _removed = CIPHERTEXTS.remove(&connection.piece);
        count_total(|totals| &raw mut totals.ciphertext_table_full);
        return;
    }
    // SAFETY: the helper takes no arguments.
    connection.pending_ns = unsafe { bpf_ktime_get_ns() };
    count_pending(connection.piece.tgid, 1);
}

/// Looks no longer for a connection's ciphertext.
#[inline(never)]
pub(crate) fn forget(connection: *mut ConnectionState, tgid: u32) {
    // SAFETY: the caller hands over a live map value.
    let connection = unsafe { &mut *connection };
    if connection.pending_ns == 0 {
        return;
    }
    connection.pending_ns = 0;
    let _removed = CIPHERTEXTS.remove(&connection.piece);
    count_pending(tgid, u64::MAX);
}

#[inline(always)]
fn count_pending(tgid: u32, change: u64) {
    if let Some(process) = PROCESSES.get_ptr_mut(&tgid) {
        // SAFETY: a live map value; the field is only ever added to, atomically.
        unsafe { add(&raw mut (*process).pending, change) };
    }
}

/// Looks at what a process sends through TCP.
#[fentry(function = "tcp_sendmsg")]
pub(crate) fn tcp_sendmsg(ctx: FEntryContext) -> i32 {
    if is_awaited() {
        find(ctx.arg(0), ctx.arg(1));
    }
    0
}

/// The same, where the kernel has a tracepoint for it (Linux 6.16) and lets no program go to its functions.
#[raw_tracepoint(tracepoint = "tcp_sendmsg_locked")]
pub(crate) fn tcp_sending(ctx: RawTracePointContext) -> i32 {
    if is_awaited() {
        find(ctx.arg(0), ctx.arg(1));
    }
    0
}

/// Looks at what a process sends through a unix socket.
#[fentry(function = "unix_stream_sendmsg")]
pub(crate) fn unix_stream_sendmsg(ctx: FEntryContext) -> i32 {
    if is_awaited()
        && let Some(sock) = read_field(ctx.arg(0), |offsets| &raw const offsets.socket_sk)
    {
        find(sock, ctx.arg(1));
    }
    0
}

/// Tells whether anything is looked for in what the current process sends.
#[inline(always)]
fn is_awaited() -> bool {
    PROCESSES
        .get_ptr(&current_task().tgid)
        // SAFETY: a live map value.
        .is_some_and(|process| unsafe { (*process).pending } != 0)
}

/// The first bytes of a message, and then what to look for, which begins with them.
union Beginning {
    room: Room,
    piece: CiphertextKey,
}

#[inline(never)]
fn find(sock: u64, message: u64) {
    let mut beginning = Beginning {
        room: [0; size_of::<Room>()],
    };
    // SAFETY: any bytes are room.
    if message::first_bytes(message, unsafe { &mut beginning.room }) == 0 {
        return;
    }
    // SAFETY: any bytes are a piece.
    let piece = unsafe { &mut beginning.piece };
    piece.tgid = current_task().tgid;
    piece.reserved = 0;
    if let Some(owner) = CIPHERTEXTS.get_ptr(&*piece) {
        // SAFETY: a live map value.
        found(unsafe { *owner }, piece, sock);
    }
}

/// Names the connection's socket, if the piece is still its own.
#[inline(never)]
fn found(ssl: u64, piece: &CiphertextKey, sock: u64) {
    let Some(connection) = CONNECTIONS.get_ptr_mut(AddressKey::new(ssl, piece.tgid)) else {
        return;
    };
    // SAFETY: a live map value. What another thread may change meanwhile is compared, and never trusted.
    let state = unsafe { &mut *connection };
    if state.pending_ns == 0 || state.piece.bytes != piece.bytes || !socket::has_peer(sock) {
        return;
    }
    forget(connection, piece.tgid);
    if !transport::is_taken(sock, ssl, piece.tgid) {
        transport::bind(state, ssl, sock, AddressSource::CIPHERTEXT);
        socket::introduce(state, ssl, sock);
    }
}
