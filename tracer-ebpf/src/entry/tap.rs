//! Taps: one instruction of a TLS library where the connection, the bytes and their number are all at hand.
//!
//! A hit captures at once and needs no entry, so a call that is under way when the probe is attached is captured too. Bytes
//! of handshakes and of `SSL_peek`, which leaves them to be read again, pass the same instruction: guards exclude them.

use aya_ebpf::{EbpfContext as _, macros::uprobe, programs::ProbeContext};
use tracer_ebpf::{Cookie, Role, SiteOperands, TargetFlags};

use super::{attach_cookie, ignore, read_object};
use crate::{hits, identity::nested, lifecycle::traced_task, operands, operands::of_site};

/// Bytes of a connection are moved.
#[uprobe]
pub(crate) fn tap(ctx: ProbeContext) -> u32 {
    if let Some((_, flags)) = traced_task() {
        let cookie = attach_cookie(ctx.as_ptr());
        match (cookie.role().and_then(Role::moves), of_site(cookie)) {
            (Some(_), Some(site)) => hit(&ctx, flags, cookie, site),
            (None, _) | (_, None) => ignore(),
        }
    }
    0
}

#[inline(always)]
fn hit(ctx: &ProbeContext, flags: TargetFlags, cookie: Cookie, site: &SiteOperands) {
    let (object, holds) = match operands::on_stack(ctx, site) {
        Some(found) => found,
        None => (read_object(ctx, site), operands::hold(ctx, site)),
    };
    if object == 0 {
        return;
    }
    let Some(connection) = hits::connection_of(object, cookie) else {
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
