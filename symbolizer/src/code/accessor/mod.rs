//! The offsets of structure fields, read from the functions that return them.
//!
//! The code of a function such as `SSL_get_rbio` is the library's own word on its layout, independent of any table. An
//! offset is returned only if every path through the function that does not return null returns the same field.

use crate::code::field::Field;
use crate::code::fields::{Call, Outcome, outcomes};
use crate::code::value::Value;
use crate::elf::machine::Machine;

const POINTER: u8 = 8;
const INT: u8 = 4;

/// Reads the offset of the pointer that a function of an `SSL` returns, such as `SSL_get_rbio`.
pub(crate) fn pointer_of_ssl(machine: Machine, code: &[u8]) -> Option<u16> {
    returned_one(machine, code, Call::Ssl, POINTER)
}

/// Reads the offset of the number that a function of an `SSL` returns, such as `SSL_version`.
pub(crate) fn int_of_ssl(machine: Machine, code: &[u8]) -> Option<u16> {
    returned_one(machine, code, Call::Ssl, INT)
}

/// Reads the offset of the pointer that a function returns, such as `BIO_get_data`.
pub(crate) fn pointer(machine: Machine, code: &[u8]) -> Option<u16> {
    returned_one(machine, code, Call::Object, POINTER)
}

/// Reads the offset of the number that a function returns, such as `BIO_get_init`.
pub(crate) fn int(machine: Machine, code: &[u8]) -> Option<u16> {
    returned_one(machine, code, Call::Object, INT)
}

/// Reads the offset of the pointer whose first word a function returns as a number, such as `BIO_method_type`.
pub(crate) fn first_int_behind(machine: Machine, code: &[u8]) -> Option<u16> {
    match returned(machine, code, Call::Object)?.two()? {
        ([pointer, 0], INT) => Some(pointer),
        _ => None,
    }
}

/// Reads both offsets of the pointer that `SSL_get_current_cipher` returns: session, and cipher in it.
pub(crate) fn pointer_behind(machine: Machine, code: &[u8]) -> Option<[u16; 2]> {
    match returned(machine, code, Call::Ssl)?.two()? {
        (offsets, POINTER) => Some(offsets),
        _ => None,
    }
}

/// Reads the offset of the BIO that `SSL_get_wbio` returns, unless a buffer stands before it.
///
/// With a buffer, which is another field, it returns what comes behind that.
pub(crate) fn wbio(machine: Machine, code: &[u8]) -> Option<u16> {
    let outcomes = outcomes(machine, code, Call::Ssl)?;
    let field = |outcome: &Outcome| outcome.returned.field().and_then(pointer_at);
    let unbuffered = only(outcomes.iter().filter_map(field))?;
    let is_buffer = |zero: &Field| pointer_at(*zero).is_some_and(|zero| zero != unbuffered);
    let others = outcomes.iter().filter(|outcome| !is_null(outcome.returned));
    let (direct, behind): (Vec<_>, Vec<_>) = others.partition(|outcome| field(outcome).is_some());
    let told_apart = direct.iter().all(|outcome| outcome.zeros.iter().any(is_buffer));
    (behind.is_empty() || told_apart).then_some(unbuffered)
}

/// Reads where `SSL_get0_alpn_selected` finds the protocol and its length.
pub(crate) fn pointer_and_length(machine: Machine, code: &[u8]) -> Option<(u16, u16)> {
    stored(machine, code, Call::Ssl, [POINTER, INT])
}

/// Reads the two pointers that a function stores where its arguments point to, such as `gnutls_transport_get_ptr2`.
pub(crate) fn two_pointers(machine: Machine, code: &[u8]) -> Option<(u16, u16)> {
    stored(machine, code, Call::Object, [POINTER, POINTER])
}

/// Reads the two fields of these widths that a function stores where its second and third argument point to, unless the
/// first is null.
fn stored(machine: Machine, code: &[u8], call: Call, widths: [u8; 2]) -> Option<(u16, u16)> {
    let outcomes = outcomes(machine, code, call)?;
    let mut stored = outcomes
        .iter()
        .map(|outcome| outcome.stored)
        .filter(|[first, _]| !is_null(*first));
    let pair = stored.next()?;
    let [first, second] = pair.map(|value| value.field().and_then(Field::one));
    let ((first, one), (second, other)) = (first?, second?);
    ([one, other] == widths && stored.all(|other| other == pair)).then_some((first, second))
}

/// Reads the two places where `SSL_get_servername` finds a name: the `SSL`, and its session.
///
/// Which it takes depends on the handshake. All else that it returns is null.
pub(crate) fn pointer_or_behind(machine: Machine, code: &[u8]) -> Option<(u16, [u16; 2])> {
    let outcomes = outcomes(machine, code, Call::SslAndZero)?;
    let returned: Vec<Value> = outcomes.iter().map(|outcome| outcome.returned).collect();
    let fields = returned.iter().filter_map(|value| value.field());
    let own = only(fields.clone().filter_map(pointer_at))?;
    let behind = only(fields.filter_map(|field| field.two().filter(|(_, width)| *width == POINTER)))?;
    let is_either = |field: Field| pointer_at(field) == Some(own) || field.two() == Some(behind);
    let all = returned
        .iter()
        .all(|value| is_null(*value) || value.field().is_some_and(is_either));
    all.then_some((own, behind.0))
}

/// Reads the one field of that width that a function returns unless it returns null.
fn returned_one(machine: Machine, code: &[u8], call: Call, width: u8) -> Option<u16> {
    match returned(machine, code, call)?.one()? {
        (offset, found) if found == width => Some(offset),
        _ => None,
    }
}

fn returned(machine: Machine, code: &[u8], call: Call) -> Option<Field> {
    let outcomes = outcomes(machine, code, call)?;
    let values = outcomes.iter().map(|outcome| outcome.returned);
    only(values.filter(|value| !is_null(*value)))?.field()
}

fn pointer_at(field: Field) -> Option<u16> {
    field
        .one()
        .and_then(|(offset, width)| (width == POINTER).then_some(offset))
}

const fn is_null(value: Value) -> bool {
    matches!(value, Value::Constant(0))
}

fn only<T: PartialEq>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests;
