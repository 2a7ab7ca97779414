//! Taps: one instruction of a TLS library where the connection, the bytes and their number are all at hand.
//!
//! A hit captures at once and needs no entry, so a call that is under way when the probe is attached is captured too. Bytes
//! of handshakes and of `SSL_peek`, which leaves them to be read again, pass the same instruction: guards exclude them.

use core::mem::offset_of;

use aya_ebpf::{EbpfContext as _, macros::uprobe, programs::ProbeContext};
use tracer_ebpf::{ConnectionState, Cookie, Direction, MAX_TAP_PIECES, Piece, Pieces, Role, SiteOperands, TargetFlags};

use super::{attach_cookie, ignore, read_object};
use crate::{
    connection, hits,
    identity::{ciphertext::EncryptedRecord, nested},
    lifecycle::traced_task,
    memory::read_user,
    operands,
    operands::of_site,
};

/// Bytes of a connection are moved.
#[uprobe]
pub(crate) fn tap(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task() {
        let cookie = attach_cookie(ctx.as_ptr());
        match (cookie.role().and_then(Role::moves), of_site(cookie)) {
            (Some(_), Some(site)) => hit(&ctx, (task.tgid, flags), cookie, site),
            (None, _) | (_, None) => ignore(),
        }
    }
    0
}

#[inline(always)]
fn hit(ctx: &ProbeContext, (tgid, flags): (u32, TargetFlags), cookie: Cookie, site: &SiteOperands) {
    let (object, holds) = match operands::on_stack(ctx, site) {
        Some(found) => found,
        None => (read_object(ctx, site), operands::hold(ctx, site)),
    };
    if object == 0 {
        return;
    }
    let Some(connection) = connection::find_current(object, tgid, cookie) else {
        return;
    };
    if site.code_distance != 0 {
        connection.lift.code = operands::address(ctx).wrapping_add(i64::from(site.code_distance) as u64);
    }
    if holds {
        let (buffer, count) = (operands::buffer(ctx, site), operands::count(ctx, site));
        hits::begin_hit(connection, object, cookie, buffer, count);
    } else {
        hits::begin_hit(connection, object, cookie, 0, 0);
    }
    hits::tapped(connection, hits::direction_of(cookie), flags);
    nested::remember(ctx, connection, cookie);
}

/// Bytes of a connection are moved that may be in several pieces.
#[uprobe]
pub(crate) fn tap_pieces(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task() {
        let cookie = attach_cookie(ctx.as_ptr());
        match (cookie.role().and_then(Role::moves), of_site(cookie)) {
            (Some(_), Some(site)) => hit_pieces(&ctx, (task.tgid, flags), cookie, site),
            (None, _) | (_, None) => ignore(),
        }
    }
    0
}

#[inline(always)]
fn hit_pieces(ctx: &ProbeContext, (tgid, flags): (u32, TargetFlags), cookie: Cookie, site: &SiteOperands) {
    if !operands::hold(ctx, site) {
        return;
    }
    let object = read_object(ctx, site);
    if object == 0 {
        return;
    }
    let Some(connection) = connection::find_current(object, tgid, cookie) else {
        return;
    };
    let at = operands::pieces(ctx, site);
    let array = word(at, offset_of!(Pieces, array));
    let number = word(at, offset_of!(Pieces, number));
    if number == 0 {
        ignore();
        return;
    }
    let start = word(at, offset_of!(Pieces, start));
    hits::begin_hit(connection, object, cookie, number, start);
    if array == 0 {
        tapped(connection, flags);
    } else {
        each_piece(connection, flags, at);
    }
}

/// Captures the bytes of the hit that was begun.
#[inline(always)]
fn tapped(connection: &mut ConnectionState, flags: TargetFlags) {
    tapped_write(connection, flags.0);
}

/// A global function, as in `capture`: verified once and by itself, and not for each piece.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tapped_write(connection: *mut ConnectionState, flags: u32) -> u64 {
    if !connection.is_null() {
        // SAFETY: not null. The caller has found the connection of the current call in the table.
        hits::tapped(unsafe { &mut *connection }, Direction::WRITE, TargetFlags(flags));
    }
    0
}

/// Captures one piece after the other, each as a hit of its own. Reads word by word, for a small frame.
#[inline(always)]
fn each_piece(connection: &mut ConnectionState, flags: TargetFlags, at: u64) {
    let mut before = word(at, offset_of!(Pieces, start));
    let mut left = word(at, offset_of!(Pieces, end)).wrapping_sub(before);
    for index in 0..MAX_TAP_PIECES {
        if left == 0 || index >= word(at, offset_of!(Pieces, number)) {
            break;
        }
        let piece = word(at, offset_of!(Pieces, array)) + index * size_of::<Piece>() as u64;
        let bytes = word(piece, offset_of!(Piece, bytes));
        if bytes <= before {
            before -= bytes;
            continue;
        }
        let bytes = if bytes - before < left { bytes - before } else { left };
        let address = word(piece, offset_of!(Piece, address));
        hits::set_bytes(connection, Direction::WRITE, address + before, bytes);
        tapped(connection, flags);
        (before, left) = (0, left - bytes);
    }
    if left != 0 {
        // Of more pieces than are read: address 0 is never there, and so the bytes are counted.
        hits::set_bytes(connection, Direction::WRITE, 0, left);
        tapped(connection, flags);
    }
}

/// Reads a word behind an address of the process; 0 if it cannot be read, which is neither the address of a piece nor the length
/// of one with bytes. A global function, as above.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn word(at: u64, offset: usize) -> u64 {
    read_user(at + offset as u64).unwrap_or(0)
}

/// The library has made an encrypted record, which is compared with what the process sends until the socket is known.
#[uprobe]
pub(crate) fn tap_record(ctx: ProbeContext) -> u32 {
    if let Some((task, flags)) = traced_task()
        && flags.contains(TargetFlags::CIPHERTEXT)
        && let cookie = attach_cookie(ctx.as_ptr())
        && let Some(site) = of_site(cookie)
    {
        let object = read_object(&ctx, site);
        let record = EncryptedRecord {
            address: operands::buffer(&ctx, site),
            bytes: operands::length(&ctx, site),
            content: operands::count(&ctx, site),
        };
        connection::remember_record(object, task.tgid, cookie, &record);
    }
    0
}
