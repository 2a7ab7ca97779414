//! The hot state of a connection: its generation, how far each direction has come, and its early data.
//!
//! A connection is keyed by process and `SSL` address; a generation separates the connections that had the same address.
//! Positions need no atomics: a library's caller must not use one object for one direction in two threads at once. The
//! table is not an LRU one, which could hand an entry to another connection while a preempted program still holds it.
//!
//! Early data of a client (RFC 8446 section 2.3) counts as sent only if the server accepts it. Where the server rejects
//! it, the positions of the direction are taken back. A server receives only what it accepted, and what it writes early
//! is sent in any case.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_ebpf::{
    AddressKey, AddressSource, CIPHERTEXT_BYTES, CallState, CiphertextKey, ConnectionState, Cookie, Direction,
    EarlyState, RecordFlags, Role, SiteConfig,
};

use crate::{
    maps::{CONNECTIONS, SITES},
    memory::read_user,
    task,
};

/// Values of `SSL_get_early_data_status` (`openssl/ssl.h`): rejected, also until the server answers; and accepted.
const REJECTED: u32 = 1;
const ACCEPTED: u32 = 2;

/// In .rodata and not on the stack, which is scarce.
static NEW: ConnectionState = ConnectionState {
    generation: 0,
    positions: [0; 2],
    reported_ns: [0; 2],
    reported_bytes: [0; 2],
    early_bytes: 0,
    cookie: Cookie(0),
    sock: 0,
    cleared_ns: 0,
    handshake_began_ns: 0,
    handshake_ns: 0,
    pending_ns: 0,
    piece: CiphertextKey {
        bytes: [0; CIPHERTEXT_BYTES],
        tgid: 0,
        reserved: 0,
    },
    noted_fd: 0,
    introduced: 0,
    heard: 0,
    told: 0,
    closing: 0,
    source: AddressSource::UNKNOWN_LAYOUT,
    from_start: 0,
    unknown: [0; 2],
    early: EarlyState::NONE,
    reserved: [0; 7],
};

/// Whether a call wrote early data.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Early {
    /// It wrote none.
    No,
    /// It did, and the server has not accepted it yet.
    Yes,
    /// It did, and the library's layout does not tell whether the server accepts it.
    Unknowable,
}

/// Finds a connection, or begins it; `None` when the table is full. One that is older than the program of the process is
/// not found: its end is known already, and the loader has yet to remove it.
#[inline(always)]
pub(crate) fn find_or_begin(key: &AddressKey) -> Option<*mut ConnectionState> {
    if let Some(found) = CONNECTIONS.get_ptr_mut(key)
        // SAFETY: tracepoints on other CPUs may hold the value now, and write none of the flow.
        && unsafe { (*found).generation } >= task::since_ns(key.tgid)
    {
        return Some(found);
    }
    let _inserted = CONNECTIONS.insert(key, &NEW, 0);
    let connection = CONNECTIONS.get_ptr_mut(key)?;
    // SAFETY: the value is as good as new. Only this thread uses the object, so no other one writes its flow.
    unsafe { (*connection).generation = bpf_ktime_get_ns() };
    Some(connection)
}

/// Marks a connection whose call cleared it first thing, if that call was seen from its entry: then position 0 is its
/// first byte. A clearing in a call that was not seen from its entry proves nothing, since the bytes of that call are not
/// seen either.
#[inline(always)]
pub(crate) fn mark_start(connection: &mut ConnectionState, call: &CallState) {
    if connection.cleared_ns > call.began_ns && connection.positions[0] | connection.positions[1] == 0 {
        connection.from_start = 1;
    }
}

/// Moves a direction on by the bytes of a call, whether or not they were captured.
#[inline(always)]
pub(crate) fn advance(connection: &mut ConnectionState, call: &CallState) {
    let side = side(call.direction());
    connection.positions[side] += call.moved;
    connection.reported_bytes[side] = call.moved;
    connection.unknown[side] = 0;
    if call.early != 0 {
        connection.early_bytes += call.moved;
    }
    // SAFETY: the helper takes no arguments.
    connection.reported_ns[side] = unsafe { bpf_ktime_get_ns() };
}

/// Notes that the connection was begun by a clearing of its object.
#[inline(always)]
pub(crate) fn mark_cleared(connection: &mut ConnectionState) {
    connection.cleared_ns = connection.generation;
}

/// Returns whether any record told of the connection.
#[inline(always)]
pub(crate) fn is_known(connection: &ConnectionState) -> bool {
    connection.positions[0] | connection.positions[1] | u64::from(connection.heard) != 0
}

/// Begins a flow anew: another connection uses the object.
#[inline(always)]
pub(crate) fn reset(connection: &mut ConnectionState) {
    // SAFETY: the loader may read the value now, in the order of its fields; volatile keeps this write first.
    unsafe { core::ptr::write_volatile(&raw mut connection.positions, [0; 2]) };
    connection.reported_ns = [0; 2];
    connection.reported_bytes = [0; 2];
    connection.from_start = 0;
    connection.unknown = [0; 2];
    connection.heard = 0;
    connection.cleared_ns = 0;
    connection.early_bytes = 0;
    // A call that writes early data clears its connection first; an object that was a server's stays one.
    if connection.early != EarlyState::WRITING && connection.early != EarlyState::SERVER {
        connection.early = EarlyState::NONE;
    }
    // SAFETY: as above. Last: the loader must not find this generation with the positions of the one before.
    unsafe { core::ptr::write_volatile(&raw mut connection.generation, bpf_ktime_get_ns()) };
}

/// Returns the index of a direction in arrays by direction.
#[inline(always)]
pub(crate) const fn side(direction: Direction) -> usize {
    (direction.0 & 1) as usize
}

/// Returns the flags of a connection that every record of bytes carries.
#[inline(always)]
pub(crate) const fn flags(connection: &ConnectionState) -> RecordFlags {
    let start = if connection.from_start != 0 {
        RecordFlags::FROM_START.0
    } else {
        0
    };
    let refused = if connection.early.0 == EarlyState::REFUSED.0 {
        RecordFlags::EARLY_REFUSED.0
    } else {
        0
    };
    RecordFlags(start | refused)
}

/// Notes that a call begins that writes or reads early data.
#[inline(always)]
pub(crate) fn begin_early(connection: &mut ConnectionState, role: Role) {
    if role == Role::READ_EARLY {
        connection.early = EarlyState::SERVER;
    } else if connection.early == EarlyState::NONE {
        connection.early = EarlyState::WRITING;
    }
}

/// Notes that a call that wrote early data has returned.
#[inline(always)]
pub(crate) fn end_early(connection: &mut ConnectionState) {
    if connection.early == EarlyState::WRITING {
        connection.early = EarlyState::NONE;
    }
}

/// Returns whether a call wrote early data. If it did not, the handshake is over, and the early data before it is settled.
#[inline(never)]
pub(crate) fn judge_early(connection: &mut ConnectionState, call: &CallState) -> Early {
    if connection.early == EarlyState::WRITING && call.direction() == Direction::WRITE {
        return match early_status(call) {
            Some(REJECTED) => Early::Yes,
            Some(_) => Early::No,
            None => Early::Unknowable,
        };
    }
    if connection.early_bytes != 0 && connection.early == EarlyState::NONE {
        settle_early(connection, early_status(call) == Some(ACCEPTED));
    }
    Early::No
}

#[inline(always)]
fn settle_early(connection: &mut ConnectionState, is_accepted: bool) {
    if is_accepted {
        connection.early = EarlyState::SETTLED;
        return;
    }
    connection.early = EarlyState::REFUSED;
    let side = side(Direction::WRITE);
    connection.positions[side] = connection.positions[side].saturating_sub(connection.early_bytes);
}

#[inline(always)]
fn early_status(call: &CallState) -> Option<u32> {
    let site = SITES.get(call.cookie.site())?;
    if site.early_data == SiteConfig::UNKNOWN {
        return None;
    }
    read_user(call.ssl + u64::from(site.early_data))
}
