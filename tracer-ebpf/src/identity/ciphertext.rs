//! From a TLS object whose descriptor is not known to its socket, by the ciphertext that it sends.
//!
//! What a library hands to its BIO within a call is remembered by its first bytes; where a process sends a message of which
//! one of the first records begins with them, the message's socket is the connection's. Only bytes that are random or encrypted are remembered,
//! because others could be sent by two connections; bytes that two connections handed out all the same match neither.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_ktime_get_ns};
use tracer_ebpf::{AddressKey, AddressSource, CIPHERTEXT_BYTES, CiphertextKey, Identity, SiteConfig, ThreadState};

use super::{
    Way, binding, descriptor,
    introduction::introduce,
    message::{self, Message, Room},
    socket,
};
use crate::{
    maps::{CIPHERTEXTS, CONNECTIONS, PROCESSES, SITES},
    memory::{add, copy_user, read_user},
    record::count_total,
    task::{self, current_task},
};

/// How long a piece is kept before a later one takes its place. Buffers between the library and the socket collect pieces,
/// and send the first one first.
const KEPT_NS: u64 = 100_000_000;

/// Records of a message among which a piece is looked for. A server that is asked in the segment that ends its handshake sends
/// session tickets first, two by default in TLS 1.3, which it made before a call was seen.
const RECORDS: u32 = 5;

/// Remembers how the ciphertext begins that a TLS library hands to a BIO within a call, unless the socket of the connection
/// is known.
#[inline(always)]
pub(crate) fn remember(identity: &mut Identity, thread: &ThreadState, bio: u64, data: u64) {
    if is_identified(identity) || !leads_elsewhere(thread, bio) || is_fresh(identity) {
        return;
    }
    forget(identity, thread.tgid);
    if read_piece(identity, data, thread.tgid) != 0 {
        insert(identity, thread.object);
    }
}

/// A record that a TLS library has encrypted.
pub(crate) struct EncryptedRecord {
    pub(crate) address: u64,
    /// How many bytes it takes, whose header may be missing while there is room for it; 0 if there is none.
    pub(crate) bytes: u64,
    /// How many bytes it takes without a header, if there is no room for that.
    pub(crate) content: u64,
}

/// Remembers how a record begins that a TLS library has encrypted, unless the socket of the connection is known. What has to
/// be written in the place of a missing header is known of a record of application data; that of another one is not found.
#[inline(always)]
pub(crate) fn remember_record(identity: &mut Identity, object: u64, tgid: u32, record: &EncryptedRecord) {
    if is_identified(identity) || is_fresh(identity) {
        return;
    }
    forget(identity, tgid);
    let read = if record.bytes == 0 {
        read_content(identity, record.address, record.content, tgid)
    } else {
        read_record(identity, record.address, record.bytes, tgid)
    };
    if read != 0 {
        insert(identity, object);
    }
}

#[inline(never)]
fn read_record(identity: &mut Identity, address: u64, bytes: u64, tgid: u32) -> u32 {
    if bytes < CIPHERTEXT_BYTES as u64 {
        return 0;
    }
    let read = read_piece(identity, address, tgid);
    if read == 0 && identity.piece.set_header(bytes) {
        return identity.piece.is_unique().into();
    }
    read
}

/// Reads a record behind a header that is not there.
#[inline(never)]
fn read_content(identity: &mut Identity, address: u64, bytes: u64, tgid: u32) -> u32 {
    let piece = &mut identity.piece;
    piece.tgid = tgid;
    if bytes < CONTENT_BYTES as u64 {
        return 0;
    }
    let content = (&raw mut piece.bytes).cast::<u8>().wrapping_add(HEADER_BYTES);
    // SAFETY: behind the header the piece has room for the bytes. No other program reads it: it is in no table now.
    if !unsafe { copy_user(content, address, CONTENT_BYTES as u32) } {
        return 0;
    }
    [
        piece.bytes[0],
        piece.bytes[1],
        piece.bytes[2],
        piece.bytes[3],
        piece.bytes[4],
    ] = [0; HEADER_BYTES];
    piece.set_header(bytes + HEADER_BYTES as u64).into()
}

/// Bytes of a record's header, and those of its content that are compared.
const HEADER_BYTES: usize = 5;
const CONTENT_BYTES: usize = CIPHERTEXT_BYTES - HEADER_BYTES;

#[inline(always)]
fn is_identified(identity: &Identity) -> bool {
    identity.sock != 0 || identity.source.0 == AddressSource::CIPHERTEXT.0
}

/// Returns whether a BIO is the one that the connection writes to, where that is known, and is not a socket's own.
#[inline(always)]
fn leads_elsewhere(thread: &ThreadState, bio: u64) -> bool {
    let Some(site) = SITES.get(thread.cookie.site()) else {
        return true;
    };
    if site.wbio != SiteConfig::UNKNOWN && read_user(thread.object + u64::from(site.wbio)) != Some(bio) {
        return false;
    }
    !site.knows_descriptor() || descriptor::of_bio(thread.object, site, site.rbio) < 0
}

/// Returns whether the connection has a piece that is not old yet.
#[inline(always)]
fn is_fresh(identity: &Identity) -> bool {
    // SAFETY: the helper takes no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    identity.pending_ns != 0 && now - identity.pending_ns < KEPT_NS
}

/// Reads the first bytes; 0 if another connection may send the same.
#[inline(never)]
fn read_piece(identity: &mut Identity, data: u64, tgid: u32) -> u32 {
    let piece = &mut identity.piece;
    piece.tgid = tgid;
    // SAFETY: the piece has room for the bytes. No other program reads it: it is in no table now.
    let read = unsafe { copy_user((&raw mut piece.bytes).cast(), data, CIPHERTEXT_BYTES as u32) };
    (read && piece.is_unique()).into()
}

#[inline(always)]
fn insert(identity: &mut Identity, object: u64) {
    Way::Ciphertext.prepare();
    if CIPHERTEXTS
        .insert(&identity.piece, &object, BPF_NOEXIST.into())
        .is_err()
    {
        match CIPHERTEXTS.get_ptr_mut(&identity.piece) {
            // SAFETY: another thread of the process may read the word now, and gets its old value or the new one. The
            // same bytes from two connections identify neither.
            Some(owner) => unsafe { *owner = 0 },
            None => count_total(|totals| &raw mut totals.ciphertext_table_full),
        }
        return;
    }
    if task::keep(identity.piece.tgid) == 0 {
        let _removed = CIPHERTEXTS.remove(&identity.piece);
        count_total(|totals| &raw mut totals.ciphertext_table_full);
        return;
    }
    // SAFETY: the helper takes no arguments.
    identity.pending_ns = unsafe { bpf_ktime_get_ns() };
    count_pending(identity.piece.tgid, 1);
}

/// Removes the remembered piece of a connection.
#[inline(never)]
pub(crate) fn forget(identity: &mut Identity, tgid: u32) {
    if identity.pending_ns == 0 {
        return;
    }
    identity.pending_ns = 0;
    // A copy on the stack: Linux 6.1 takes no key out of memory that a global function is given.
    let piece = identity.piece;
    let _removed = CIPHERTEXTS.remove(piece);
    count_pending(tgid, u64::MAX);
}

#[inline(always)]
fn count_pending(tgid: u32, change: u64) {
    if let Some(process) = PROCESSES.get_ptr_mut(&tgid) {
        // SAFETY: other CPUs may hold the value now, and change the field by atomic additions as this does.
        unsafe { add(&raw mut (*process).pending, change) };
    }
}

/// Returns whether a piece of the current process waits for the message that sends it.
#[inline(always)]
pub(crate) fn is_awaited() -> bool {
    PROCESSES
        .get_ptr(&current_task().tgid)
        // SAFETY: other CPUs may add to the field now; it is one word.
        .is_some_and(|process| unsafe { (*process).pending } != 0)
}

/// The first bytes of a message, and then the key that begins with them.
union Beginning {
    room: Room,
    piece: CiphertextKey,
}

/// Finds the connection of whose ciphertext one of the first few records of a message is, and notes the message's socket.
#[inline(never)]
pub(crate) fn find<M: Message>(sock: u64, message: M) {
    let mut beginning = Beginning {
        room: [0; size_of::<Room>()],
    };
    // SAFETY: on this program's stack, and any bytes are room.
    let mut is_read = message::first_bytes(message, unsafe { &mut beginning.room });
    let mut position = 0;
    for _ in 0..RECORDS {
        if is_read == 0 {
            return;
        }
        // SAFETY: as above, and any bytes are a piece.
        let piece = unsafe { &mut beginning.piece };
        piece.tgid = current_task().tgid;
        piece.reserved = 0;
        if let Some(owner) = CIPHERTEXTS.get_ptr(&*piece) {
            // SAFETY: another thread of the process may set the word to 0 now; then the connection of neither is found.
            found(unsafe { *owner }, piece, sock);
            return;
        }
        let Some(bytes) = piece.record_bytes() else {
            return;
        };
        position += bytes;
        // SAFETY: as above.
        is_read = message::later_bytes(message, position, unsafe { &mut beginning.room });
    }
}

/// Notes the socket of a connection, if the piece is still its own.
#[inline(never)]
fn found(object: u64, piece: &CiphertextKey, sock: u64) {
    let Some(connection) = CONNECTIONS.get_ptr_mut(AddressKey::new(object, piece.tgid)) else {
        return;
    };
    // SAFETY: usually the sender is the thread that uses the object, and nobody else holds the value. Where another thread
    // sends, the object's own may write the value now: what it may change is compared and not trusted, and both write
    // words that any later call may write again.
    let connection = unsafe { &mut *connection };
    let (flow, identity) = (&connection.flow, &mut connection.identity);
    if identity.pending_ns == 0 || identity.piece.bytes != piece.bytes || !socket::has_peer(sock) {
        return;
    }
    forget(identity, piece.tgid);
    if !binding::is_taken(sock, object, piece.tgid) {
        binding::bind(identity, flow, object, sock, AddressSource::CIPHERTEXT);
        introduce(connection, object, sock);
    }
}
