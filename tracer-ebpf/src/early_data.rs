//! Early data of a connection, and what becomes of it.
//!
//! That of a client (RFC 8446 section 2.3) counts as sent only if the server accepts it. Where the server rejects
//! it, the positions of the direction are taken back. A server receives only what it accepted, and what it writes early
//! is sent in any case.

use tracer_ebpf::{Direction, EarlyState, Flow, SiteConfig, Transfer};

use crate::{flow::side, maps::SITES, memory::read_user};

/// Values of `SSL_get_early_data_status` (`openssl/ssl.h`): rejected, also until the server answers; and accepted.
const REJECTED: u32 = 1;
const ACCEPTED: u32 = 2;

/// Whether a call wrote early data.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Early {
    /// It wrote none.
    No,
    /// It did, and the server has not accepted it yet.
    Yes,
    /// It did, and the layout of the library's status is not known.
    Unknowable,
}

/// Notes that a call reads early data: the process is the server.
#[inline(always)]
pub(crate) fn read_early(flow: &mut Flow) {
    flow.early = EarlyState::SERVER;
}

/// Notes that a call begins that writes early data.
#[inline(always)]
pub(crate) fn begin_early(flow: &mut Flow) {
    if flow.early == EarlyState::NONE {
        flow.early = EarlyState::WRITING;
    }
}

/// Returns whether a call is under way that writes early data.
#[inline(always)]
pub(crate) fn writes_early(flow: &Flow) -> bool {
    flow.early == EarlyState::WRITING
}

/// Notes that a call that wrote early data has returned.
#[inline(always)]
pub(crate) fn end_early(flow: &mut Flow) {
    if flow.early == EarlyState::WRITING {
        flow.early = EarlyState::NONE;
    }
}

/// Returns whether a call wrote early data. If it did not, the handshake is over, and the early data before it is settled.
#[inline(always)]
pub(crate) fn judge_early(flow: &mut Flow, transfer: &Transfer) -> Early {
    if flow.early_bytes == 0 && flow.early == EarlyState::NONE {
        return Early::No;
    }
    examine_early(flow, transfer)
}

#[inline(never)]
fn examine_early(flow: &mut Flow, transfer: &Transfer) -> Early {
    if flow.early == EarlyState::WRITING && transfer.direction == Direction::WRITE {
        return match early_status(transfer) {
            Some(REJECTED) => Early::Yes,
            Some(_) => Early::No,
            None => Early::Unknowable,
        };
    }
    if flow.early_bytes != 0 && flow.early == EarlyState::NONE {
        settle_early(flow, early_status(transfer) == Some(ACCEPTED));
    }
    Early::No
}

#[inline(always)]
fn settle_early(flow: &mut Flow, is_accepted: bool) {
    if is_accepted {
        flow.early = EarlyState::SETTLED;
        return;
    }
    flow.early = EarlyState::REFUSED;
    let side = side(Direction::WRITE);
    flow.positions[side] = flow.positions[side].saturating_sub(flow.early_bytes);
}

#[inline(always)]
fn early_status(transfer: &Transfer) -> Option<u32> {
    let site = SITES.get(transfer.cookie.site())?;
    if site.early_data == SiteConfig::UNKNOWN {
        return None;
    }
    read_user(transfer.object + u64::from(site.early_data))
}
