//! The operands of a probed function, from registers and user memory: where they are is data, per site.

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::pt_regs,
    programs::{ProbeContext, RetProbeContext},
};
use tracer_ebpf::{CallEnd, Cookie, Guard, Lift, Operand, Place, SiteOperands, WINDOW_BYTES, Width};

use crate::{
    maps::{OPERANDS, SITES},
    memory::{copy_user, forgotten, read_user},
    registers::{goroutine_register, instruction_pointer, register, stack_pointer},
    task::thread_word,
};

/// Where the operands of C functions usually are, which is tried first: one comparison is cheaper than the switch.
const OBJECT: Operand = Operand::argument(0, Width::U64);
const BUFFER: Operand = Operand::argument(1, Width::U64);
const LENGTH: Operand = Operand::argument(2, Width::U64);
const COUNT: Operand = Operand::behind_argument(3, Width::U64);

/// Returns where the operands of a site are.
#[inline(always)]
pub(crate) fn of_site<'a>(cookie: Cookie) -> Option<&'a SiteOperands> {
    OPERANDS.get(cookie.site())
}

/// Returns the key of a call, among those of its process: the stack pointer at its entry, which no other call of a thread has
/// at the same time. The probe is where the stack pointer has come down by the depth of the cookie.
#[inline(always)]
pub(crate) fn call_key(ctx: &ProbeContext, cookie: Cookie) -> u64 {
    pointer(ctx).wrapping_add(cookie.depth())
}

/// Returns the stack pointer.
#[inline(always)]
pub(crate) fn pointer(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { stack_pointer(ctx.regs) }
}

/// Returns the address of the goroutine that runs: code of Go keeps it in one register (go1.27.3,
/// `src/cmd/compile/abi-internal.md`), and up to Go 1.16 in memory of the thread (go1.15.15, `src/runtime/tls_amd64.s`). 0 if
/// that cannot be read.
#[inline(always)]
pub(crate) fn goroutine(ctx: &ProbeContext, cookie: Cookie) -> u64 {
    match SITES.get(cookie.site()) {
        Some(site) if site.goroutine_below != 0 => thread_word(site.goroutine_below.into()),
        Some(_) | None => {
            // SAFETY: the kernel hands a valid register set to the program.
            unsafe { goroutine_register(ctx.regs) }
        }
    }
}

/// Returns the key of a call as it returns.
#[inline(always)]
pub(crate) fn call_key_at_return(ctx: &RetProbeContext) -> u64 {
    // SAFETY: as above.
    unsafe { stack_pointer(ctx.regs) }.wrapping_sub(RETURN_ADDRESS_BYTES)
}

/// Reads the object of a call; 0 if it has none, or it cannot be read.
#[inline(always)]
pub(crate) fn object(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    if site.object.word() == OBJECT.word() {
        return argument::<0>(ctx);
    }
    before(read(ctx.regs, &site.object), &site.object)
}

/// Returns the object that is before an address by as much as its operand says.
#[inline(always)]
fn before(address: u64, operand: &Operand) -> u64 {
    if address == 0 {
        return 0;
    }
    address.wrapping_sub(operand.before.into())
}

/// Reads the buffer of a call, or the descriptor that it sets; 0 as above.
#[inline(always)]
pub(crate) fn buffer(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    if site.buffer.word() == BUFFER.word() {
        return argument::<1>(ctx);
    }
    read(ctx.regs, &site.buffer)
}

/// Reads the length of a call; 0 as above.
#[inline(always)]
pub(crate) fn length(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    if site.length.word() == LENGTH.word() {
        return argument::<2>(ctx);
    }
    read(ctx.regs, &site.length)
}

/// Reads what is in the place of the count of a call; the function has yet to write what an address there leads to.
#[inline(always)]
pub(crate) fn place_of_count(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    if site.count.word() == COUNT.word() {
        return argument::<3>(ctx);
    }
    if site.count.place == Place::RESULT {
        return 0;
    }
    place(ctx.regs, &site.count)
}

/// The place that slots of the stack are counted from.
const STACK: Place = Place::register(if cfg!(bpf_target_arch = "aarch64") { 31 } else { 7 });

/// Marks an object whose hit has no application data: objects have even addresses.
const STAYS: u64 = 1;

/// Reads the object of a tap and whether its guards hold, as far as they are on the stack at once; `None` if the site has no
/// window there, or it cannot be read.
#[inline(always)]
pub(crate) fn on_stack(ctx: &ProbeContext, site: &SiteOperands) -> Option<(u64, bool)> {
    if site.window == Operand::UNKNOWN {
        return None;
    }
    let found = read_stack(ctx.regs, site);
    (found & !STAYS != 0).then_some((found & !STAYS, found & STAYS == 0))
}

#[inline(never)]
fn read_stack(regs: *const pt_regs, site: &SiteOperands) -> u64 {
    // Zeroing it first would take longer than comparing what is in it.
    let mut window = MaybeUninit::<[u64; WINDOW_BYTES / size_of::<u64>()]>::uninit();
    // SAFETY: the kernel hands a valid register set to the program.
    if !read_window(unsafe { stack_pointer(regs) }, site, window.as_mut_ptr()) {
        return 0;
    }
    // SAFETY: the helper has written all of it.
    let window = unsafe { window.assume_init_ref() };
    let object = if site.object.has_one_load_from(STACK) {
        of_window(window, site, &site.object)
    } else {
        before(read(regs, &site.object), &site.object)
    };
    let [first, second] = &site.guards;
    let is_held = |guard: &Guard| {
        if guard.operand.has_one_load_from(STACK) {
            return of_window(window, site, &guard.operand) as u32 == guard.equals;
        }
        holds(regs, guard) != 0
    };
    match object & STAYS {
        0 if is_held(first) && is_held(second) => object,
        0 => object | STAYS,
        // An odd value is no address of an object; the caller reads the operands one by one.
        _ => 0,
    }
}

/// Reads the count of a tap, which is known as it is hit; 0 as above.
#[inline(always)]
pub(crate) fn count(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    read(ctx.regs, &site.count)
}

/// Reads the address of the [`Pieces`](tracer_ebpf::Pieces) of a tap; 0 as above.
#[inline(always)]
pub(crate) fn pieces(ctx: &ProbeContext, site: &SiteOperands) -> u64 {
    read(ctx.regs, &site.pieces)
}

/// Returns whether every hit has application data.
#[inline(always)]
pub(crate) fn has_no_guard(site: &SiteOperands) -> bool {
    !site.guards[0].operand.is_some()
}

/// Returns whether a hit has application data.
#[inline(always)]
pub(crate) fn hold(ctx: &ProbeContext, site: &SiteOperands) -> bool {
    let [first, second] = &site.guards;
    holds(ctx.regs, first) != 0 && holds(ctx.regs, second) != 0
}

#[inline(never)]
fn holds(regs: *const pt_regs, guard: &Guard) -> u32 {
    if !guard.operand.is_some() {
        return 1;
    }
    let value = follow(place(regs, &guard.operand), &guard.operand);
    value.is_some_and(|value| value as u32 == guard.equals).into()
}

/// The value of an operand of a lift that cannot be read.
pub(crate) const UNREADABLE: u64 = u64::MAX;

/// Returns whether a lift has operands in a frame.
#[inline(always)]
pub(crate) fn has_frame(site: &SiteOperands) -> bool {
    site.buffer.place == Place::FRAME
}

/// Reads the window of a site's operands; returns whether it has one that can be read at once.
#[inline(always)]
fn read_window<const N: usize>(base: u64, site: &SiteOperands, into: *mut [u64; N]) -> bool {
    const { assert!(N * size_of::<u64>() >= WINDOW_BYTES) };
    if site.window == Operand::UNKNOWN {
        return false;
    }
    // SAFETY: there is room for as many.
    unsafe { copy_user(into.cast(), at(base, site.window), WINDOW_BYTES as u32) }
}

/// Reads the window of a lift.
#[inline(always)]
pub(crate) fn read_lift_window(lift: &mut Lift, object: u64, site: &SiteOperands) {
    lift.windowed = read_window(object, site, &raw mut lift.window).into();
}

/// Reads an operand of a lift: from its window, from behind the object, or from its frame.
#[inline(always)]
pub(crate) fn behind(lift: &Lift, object: u64, site: &SiteOperands, operand: &Operand) -> u64 {
    if lift.windowed != 0 && operand.has_one_load_from(Place::CONNECTION) {
        of_window(&lift.window, site, operand)
    } else {
        outside_window(lift, object, operand)
    }
}

#[inline(never)]
fn outside_window(lift: &Lift, object: u64, operand: &Operand) -> u64 {
    let base = match operand.place {
        Place::CONNECTION => object,
        Place::FRAME => lift.slot,
        _ => 0,
    };
    if base == 0 {
        return UNREADABLE;
    }
    follow(base, operand).unwrap_or(UNREADABLE)
}

/// Takes an operand out of a window. The loader chooses windows that hold every operand with one load from their place.
#[inline(always)]
fn of_window<const N: usize>(window: &[u64; N], site: &SiteOperands, operand: &Operand) -> u64 {
    let at = u64::from(operand.loads[0].wrapping_sub(site.window) as u16);
    let index = forgotten(at >> 3) & 7;
    if index as usize >= N {
        return 0;
    }
    extend(window[index as usize] >> ((at & 7) << 3), operand.width)
}

/// Reads how many records a connection has sent.
#[inline(always)]
pub(crate) fn sequence(lift: &Lift, object: u64, site: &SiteOperands) -> u64 {
    u64::from_be(behind(lift, object, site, &site.sequence))
}

/// Returns 1 if a connection is sending application data.
#[inline(always)]
pub(crate) fn hold_behind(lift: &Lift, object: u64, site: &SiteOperands) -> u32 {
    let [first, second] = &site.guards;
    (holds_behind(lift, object, site, first) && holds_behind(lift, object, site, second)).into()
}

#[inline(always)]
fn holds_behind(lift: &Lift, object: u64, site: &SiteOperands, guard: &Guard) -> bool {
    !guard.operand.is_some() || behind(lift, object, site, &guard.operand) as u32 == guard.equals
}

/// Returns the address of the probed instruction.
#[inline(always)]
pub(crate) fn address(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { instruction_pointer(ctx.regs) }
}

#[inline(never)]
fn read(regs: *const pt_regs, operand: &Operand) -> u64 {
    follow(place(regs, operand), operand).unwrap_or(0)
}

#[inline(never)]
fn place(regs: *const pt_regs, operand: &Operand) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { register(regs, operand.place) }
}

/// Reads an operand from what was in its place; `None` if a load fails.
#[inline(always)]
pub(crate) fn follow(place: u64, operand: &Operand) -> Option<u64> {
    let [first, second] = operand.loads;
    if first == Operand::UNKNOWN {
        return Some(extend(place, operand.width));
    }
    let mut address = at(place, first);
    if second != Operand::UNKNOWN {
        address = at(read_user(address)?, second);
    }
    let value = match operand.width {
        Width::U8 => read_user::<u8>(address)?.into(),
        Width::U16 => read_user::<u16>(address)?.into(),
        Width::U32 | Width::S32 => read_user::<u32>(address)?.into(),
        _ => read_user(address)?,
    };
    Some(extend(value, operand.width))
}

/// Reads the result of a function that returns.
#[inline(always)]
pub(crate) fn result(ctx: &RetProbeContext, operand: &Operand) -> i64 {
    extend(ctx.ret::<u64>(), operand.width) as i64
}

/// Reads the result of a function at one of its ends; the function may have yet to extend its sign. 0 if it is on the stack, and
/// cannot be read.
#[inline(always)]
pub(crate) fn result_at_exit(ctx: &ProbeContext, end: CallEnd) -> i64 {
    match (end.constant(), end.above_stack_pointer()) {
        (Some(constant), _) => constant,
        (None, Some(above)) => read_user(pointer(ctx).wrapping_add(above)).unwrap_or(0),
        (None, None) => {
            let width = if end.is_wide() { Width::S64 } else { Width::S32 };
            extend(register_by_number(ctx.regs, end.register()), width) as i64
        }
    }
}

#[inline(never)]
fn register_by_number(regs: *const pt_regs, number: u8) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { register(regs, Place::register(number)) }
}

/// Returns whether a call ends, or begins, where a probe was hit: at an instruction that jumps under a condition, it does so one
/// way only.
#[cfg(not(bpf_target_arch = "aarch64"))]
#[inline(always)]
pub(crate) fn is_end(ctx: &ProbeContext, end: CallEnd) -> bool {
    let Some(condition) = end.condition() else {
        return true;
    };
    // SAFETY: the kernel hands a valid register set to the program.
    let flags = unsafe { crate::registers::flags(ctx.regs) };
    let is_set = |bit: u32| flags >> bit & 1 != 0;
    let (carry, zero, sign, overflow) = (is_set(0), is_set(6), is_set(7), is_set(11));
    // Intel SDM, volume 1, appendix B: the lowest bit negates the condition.
    let holds = match condition >> 1 {
        0 => overflow,
        1 => carry,
        2 => zero,
        3 => carry || zero,
        4 => sign,
        5 => is_set(2),
        6 => sign != overflow,
        _ => zero || sign != overflow,
    };
    holds != (condition & 1 != 0)
}

/// As above.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn is_end(ctx: &ProbeContext, end: CallEnd) -> bool {
    let Some(condition) = end.condition() else {
        return true;
    };
    // SAFETY: the kernel hands a valid register set to the program.
    let flags = unsafe { crate::registers::flags(ctx.regs) };
    let is_set = |bit: u32| flags >> bit & 1 != 0;
    let (overflow, carry, zero, negative) = (is_set(28), is_set(29), is_set(30), is_set(31));
    // Arm ARM, C1.2.4: the lowest bit negates the condition.
    let holds = match condition >> 1 {
        0 => zero,
        1 => carry,
        2 => negative,
        3 => overflow,
        4 => carry && !zero,
        5 => negative == overflow,
        6 => negative == overflow && !zero,
        // Always, with both values of the lowest bit.
        _ => return true,
    };
    holds != (condition & 1 != 0)
}

#[inline(always)]
fn extend(value: u64, width: Width) -> u64 {
    match width {
        Width::S32 => i64::from(value as i32) as u64,
        Width::U32 => (value as u32).into(),
        Width::U16 => (value as u16).into(),
        Width::U8 => (value as u8).into(),
        _ => value,
    }
}

#[inline(always)]
fn at(address: u64, offset: i16) -> u64 {
    address.wrapping_add(i64::from(offset) as u64)
}

#[cfg(bpf_target_arch = "aarch64")]
const RETURN_ADDRESS_BYTES: u64 = 0;
#[cfg(not(bpf_target_arch = "aarch64"))]
const RETURN_ADDRESS_BYTES: u64 = 8;

/// Reads the `N`th argument of a function, from 0.
#[inline(always)]
fn argument<const N: u8>(ctx: &ProbeContext) -> u64 {
    // SAFETY: the kernel hands a valid register set to the program.
    unsafe { register(ctx.regs, const { Place::argument(N) }) }
}
