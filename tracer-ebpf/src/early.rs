//! Early data (RFC 8446 section 2.3) of a client, which counts as sent only if the server takes it.
//!
//! In: the calls that write it, and the library's own word on what became of it. Out: records of it that say so, and
//! positions that begin anew where it was refused. A server hands out only what it took, and what it writes early is not
//! in question.

use tracer_ebpf::{CallState, ConnectionState, Cookie, Direction, EarlyState, Role, SiteConfig};

use crate::{connection, maps::SITES, memory::read_user, passed::side};

/// Values of `SSL_get_early_data_status` (`openssl/ssl.h`): refused, and until the server answers; taken.
const REJECTED: u32 = 1;
const ACCEPTED: u32 = 2;

/// What early data turned out to be.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Early {
    /// The call writes none.
    No,
    /// It does, and nobody knows yet whether it counts.
    Yes,
    /// It does, and nobody will know.
    Unknowable,
}

/// Notes that a call that writes or reads early data begins.
#[inline(never)]
pub(crate) fn begin(ssl: u64, tgid: u32, cookie: Cookie) {
    let Some(connection) = connection::current(ssl, tgid, cookie) else {
        return;
    };
    // SAFETY: a live map value; no other thread uses this SSL object now.
    let connection = unsafe { &mut *connection };
    if cookie.role() == Role::READ_EARLY {
        connection.early = EarlyState::SERVER;
    } else if connection.early == EarlyState::NONE {
        connection.early = EarlyState::WRITING;
    }
}

/// Notes that a call that wrote early data has returned.
#[inline(never)]
pub(crate) fn end(call: &CallState) {
    if let Some(connection) = connection::current(call.ssl, call.tgid, call.cookie) {
        // SAFETY: a live map value; no other thread uses this SSL object now.
        let connection = unsafe { &mut *connection };
        if connection.early == EarlyState::WRITING {
            connection.early = EarlyState::NONE;
        }
    }
}

/// Tells whether what a call moved is early data; if it is not, then what became of the early data before it is known.
#[inline(never)]
pub(crate) fn judge(connection: &mut ConnectionState, call: &CallState) -> Early {
    if connection.early == EarlyState::WRITING && call.direction() == Direction::WRITE {
        return match status(call) {
            Some(REJECTED) => Early::Yes,
            Some(_) => Early::No,
            None => Early::Unknowable,
        };
    }
    if connection.early_bytes != 0 && connection.early == EarlyState::NONE {
        settle(connection, status(call) == Some(ACCEPTED));
    }
    Early::No
}

#[inline(always)]
fn settle(connection: &mut ConnectionState, is_taken: bool) {
    if is_taken {
        connection.early = EarlyState::SETTLED;
        return;
    }
    connection.early = EarlyState::REFUSED;
    let side = side(Direction::WRITE);
    connection.positions[side] = connection.positions[side].saturating_sub(connection.early_bytes);
}

#[inline(always)]
fn status(call: &CallState) -> Option<u32> {
    let site = SITES.get(call.cookie.site())?;
    if site.early_data == SiteConfig::UNKNOWN {
        return None;
    }
    read_user(call.ssl + u64::from(site.early_data))
}
