//! The functions that read, and those that write.
//!
//! `SSL_read` and `SSL_read_ex` call one function with their own arguments, which calls that of the connection's table; a
//! compiler may have put that function into them. So the function that has the name of `SSL_read` has to do one or the other.
//! `SSL_read_ex` reports no errors of its own, and is found as what hands on four arguments of its own.

use std::collections::BTreeSet;

use crate::code::effects::{Call, Effects, Target};
use crate::code::{Field, Value};
use crate::elf::address::Vaddr;
use crate::libraries::openssl::internal::{is_buffer, is_size_or_length};
use crate::libraries::openssl::stripped::reports::callers_around;
use crate::libraries::openssl::stripped::target;
use crate::libraries::openssl::tap::boring::effects;
use crate::libraries::openssl::tap::linkage::Linkage;
use crate::reason::StrippedRefusal;

use super::reported::Reported;

/// A length is negative (`SSL_R_BAD_LENGTH`).
const BAD_LENGTH: u64 = 271;
/// A connection is used before its kind is set (`SSL_R_UNINITIALIZED`).
const UNINITIALIZED: u64 = 276;

/// Bytes of a pointer.
const POINTER: u8 = 8;

/// The functions of a direction.
#[derive(Debug)]
pub(super) struct Transfer {
    /// `SSL_read`, `SSL_write`.
    pub(super) plain: Vaddr,
    /// `SSL_read_ex`, `SSL_write_ex`.
    pub(super) counted: Option<Vaddr>,
    /// `SSL_write_ex2`.
    pub(super) flagged: Option<Vaddr>,
    /// What they share, where it is a function of its own.
    pub(super) internal: Option<Vaddr>,
    /// From a connection to the pointer to its table, and from where in that comes the function that moves the bytes.
    pub(super) slot: [u16; 2],
}

/// Names the functions of a direction in the errors that they report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) plain: &'static str,
    pub(super) internal: &'static str,
}

/// Finds the functions of a direction; nothing if none has both the name and the code of the plain one.
pub(super) fn find(
    linkage: &Linkage<'_, '_>,
    reported: &[Reported],
    names: Names,
) -> Result<Option<Transfer>, StrippedRefusal> {
    let inner: Vec<_> = reported.iter().filter(|one| is_internal(one, names.internal)).collect();
    let shared: Vec<_> = inner.iter().map(|inner| inner.address).collect();
    let leads = |call: &Call| target(call).is_some_and(|to| shared.contains(&to)) || slot(call).is_some();
    let is_plain = |one: &&Reported| {
        let mut calls = one.effects.calls.iter().filter(|call| hands(call));
        one.names.contains(names.plain) && one.reasons.contains(&BAD_LENGTH) && calls.any(leads)
    };
    let mut plains = reported.iter().filter(is_plain);
    let Some(plain) = plains.next() else {
        return Ok(None);
    };
    if plains.next().is_some() {
        return Err(StrippedRefusal::SeveralCopies(names.plain));
    }
    let slots: BTreeSet<_> = inner.iter().copied().chain([plain]).flat_map(slots).collect();
    let mut slots = slots.into_iter();
    let (Some(slot), None) = (slots.next(), slots.next()) else {
        return Err(StrippedRefusal::SeveralCopies(names.internal));
    };
    let callers = Callers {
        linkage,
        reported,
        internal: names.internal,
        plain: plain.address,
    };
    // Where flags come before the count, what counts without flags is another function.
    let has_flags = inner.iter().any(|inner| is_counting(inner, 4));
    let handing = callers.only(&shared, |arguments| is_own(arguments[3], 3));
    let (calling, flagged) = if has_flags { (None, handing) } else { (handing, None) };
    let unflagged = |arguments: &Arguments| arguments[3] == Value::Constant(0) && is_own(arguments[4], 3);
    let by_flagged = flagged.and_then(|flagged| callers.only(&[&shared[..], &[flagged]].concat(), unflagged));
    let (internal, containing) = of_inner(linkage, &inner);
    Ok(Some(Transfer {
        plain: plain.address,
        counted: by_flagged.or(calling).or(containing),
        flagged,
        internal,
        slot,
    }))
}

/// What the argument registers hold at a call.
type Arguments = [Value; 6];

/// The functions around those of a direction that may call them.
struct Callers<'a, 'data> {
    linkage: &'a Linkage<'a, 'data>,
    reported: &'a [Reported],
    internal: &'static str,
    plain: Vaddr,
}

impl Callers<'_, '_> {
    /// Finds the one function that hands its connection, buffer and length on to one of some others, with other arguments
    /// of a form, and that reports nothing by a name of its own.
    fn only(&self, others: &[Vaddr], form: impl Fn(&Arguments) -> bool) -> Option<Vaddr> {
        let around = callers_around(self.linkage.image, self.plain, others).into_iter();
        let has_own_name = |address: Vaddr| {
            let mut reported = self.reported.iter().filter(|one| one.address == address);
            reported.any(|one| one.names.iter().any(|name| *name != self.internal))
        };
        let leads = |call: &Call| target(call).is_some_and(|to| others.contains(&to));
        let calls = |effects: &Effects| {
            let mut calls = effects.calls.iter().filter(|call| hands(call) && leads(call));
            calls.any(|call| form(&call.arguments))
        };
        let is_other = |address: &Vaddr| *address != self.plain && !others.contains(address) && !has_own_name(*address);
        let mut found = around
            .filter(is_other)
            .filter(|address| effects(self.linkage, *address).is_ok_and(|effects| calls(&effects)));
        found.next().filter(|_| found.next().is_none())
    }
}

/// Returns whether a function may be the internal one, or `SSL_read_ex` with that inside it: it reports by no other name,
/// and calls the function of the table with its own arguments and a count of its own caller.
fn is_internal(one: &Reported, name: &str) -> bool {
    one.names.len() == 1
        && one.names.contains(name)
        && one.reasons.contains(&UNINITIALIZED)
        && (is_counting(one, 3) || is_counting(one, 4))
}

/// Returns whether a function hands to that of the table where to count, which is an argument of its own.
fn is_counting(one: &Reported, index: usize) -> bool {
    let mut calls = one
        .effects
        .calls
        .iter()
        .filter(|call| hands(call) && slot(call).is_some());
    calls.any(|call| is_own(call.arguments[3], index))
}

/// Tells the internal function from `SSL_read_ex` with that inside it: the internal one leaves the result to the function of
/// the table, which it may jump to; the other never returns a negative one. If it does not, it is the only one.
fn of_inner(linkage: &Linkage<'_, '_>, inner: &[&Reported]) -> (Option<Vaddr>, Option<Vaddr>) {
    let (jumping, others) = inner.iter().partition::<Vec<&Reported>, _>(|one| {
        let mut calls = one.effects.calls.iter().filter(|call| slot(call).is_some());
        calls.any(|call| is_jump(linkage, call))
    });
    match (&jumping[..], &others[..]) {
        ([one], []) | ([], [one]) => (Some(one.address), None),
        ([internal], [other]) => (Some(internal.address), Some(other.address)),
        _ => (None, None),
    }
}

/// Returns whether a call through a register or a field is a jump.
fn is_jump(linkage: &Linkage<'_, '_>, call: &Call) -> bool {
    linkage.image.bytes_from(call.at).is_some_and(jumps)
}

/// Returns whether code begins with a jump through a register or a field.
const fn jumps(code: &[u8]) -> bool {
    let code = match code {
        [NOT_TRACKED, rest @ ..] => rest,
        _ => code,
    };
    let code = match code {
        [0x40..=0x4f, rest @ ..] => rest,
        _ => code,
    };
    matches!(code, [0xff, form, ..] if *form >> 3 & 7 == JUMP)
}

/// The prefix of a jump that needs no landing pad.
const NOT_TRACKED: u8 = 0x3e;
/// Which instruction of its group a jump is.
const JUMP: u8 = 4;

/// Lists from where functions come that a function hands its connection, buffer and length to.
fn slots(one: &Reported) -> impl Iterator<Item = [u16; 2]> {
    one.effects.calls.iter().filter(|call| hands(call)).filter_map(slot)
}

/// Where the function comes from that a call leads to, if it is one of the table of the connection.
pub(super) fn slot(call: &Call) -> Option<[u16; 2]> {
    match call.target {
        Target::Value(Value::Field(field)) => match field.two()? {
            (offsets, POINTER) => Some(offsets),
            _ => None,
        },
        Target::Value(_) | Target::To(_) => None,
    }
}

/// Returns whether a call hands on the connection, the buffer and the length.
pub(super) fn hands(call: &Call) -> bool {
    let arguments = call.arguments.first_chunk();
    arguments.is_some_and(|arguments| is_buffer(arguments, is_size_or_length))
}

/// Returns whether a value is an argument of the function's own.
pub(super) fn is_own(value: Value, index: usize) -> bool {
    value.field().and_then(Field::as_argument) == Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_through_a_register_or_a_field_is_told_from_a_call() {
        // jmp rax; jmp r11; notrack jmp rax; jmp [rax+0x38]
        for jump in [
            &[0xff, 0xe0][..],
            &[0x41, 0xff, 0xe3],
            &[0x3e, 0xff, 0xe0],
            &[0xff, 0x60, 0x38],
        ] {
            assert!(jumps(jump), "{jump:x?}");
        }
        // call rax; call [rax+0x38]; a jump of a fixed place; cut short
        for other in [
            &[0xff, 0xd0][..],
            &[0xff, 0x50, 0x38],
            &[0xe9, 0xe0, 0, 0, 0],
            &[0xff],
            &[],
        ] {
            assert!(!jumps(other), "{other:x?}");
        }
    }
}
