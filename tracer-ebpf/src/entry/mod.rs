//! The programs, by what they are attached to. Each reads its context and calls the layers below; nothing calls them.

mod call;
mod goroutine;
mod tap;
mod lift;
mod socket;
mod process;

use aya_ebpf::{helpers::generated::bpf_get_attach_cookie, programs::ProbeContext};
use tracer_ebpf::{Cookie, Operand, SiteOperands};

use crate::{operands, record::count_total};

/// Reads the cookie of the probe that fired.
#[inline(always)]
fn attach_cookie(ctx: *mut core::ffi::c_void) -> Cookie {
    // SAFETY: `ctx` is the context that the kernel gave to the program.
    Cookie(unsafe { bpf_get_attach_cookie(ctx) })
}

/// Reads the object of a call; 0 if it has none, and counted if it cannot be read.
#[inline(always)]
fn read_object(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    let object = operands::object(ctx, site);
    let [first, _] = site.object.loads;
    if object == 0 && first != Operand::UNKNOWN {
        ignore();
    }
    object
}

/// Counts a hit of a probe that no program can do anything with.
#[inline(never)]
fn ignore() {
    count_total(|totals| &raw mut totals.hits_ignored);
}
