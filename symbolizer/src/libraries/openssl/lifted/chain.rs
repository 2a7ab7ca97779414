//! From `SSL_write` to the function that cuts what it takes into records.
//!
//! Both steps between lead through the connection's table of methods. Where the table is in a connection, and which of
//! its places is called, is read from the code of the callers; what is there, from the tables that the library hands
//! out: all must agree.

use super::{APPLICATION_DATA, Functions, WORD};
use crate::cause::Cause;
use crate::code::effects::{Call, Target};
use crate::code::{Field, Value};
use crate::elf::address::Vaddr;
use crate::libraries::openssl::functions::{WRITE, WRITE_EX, WRITE_EX2};
use crate::libraries::openssl::internal;
use crate::libraries::openssl::tap::methods::Methods;

/// Finds `ssl3_write_bytes`.
pub(super) fn write_bytes(functions: Functions<'_, '_>) -> Result<Vaddr, Cause> {
    let outer = match internal::writing(functions.image, functions.survey) {
        Some(internal) => vec![internal.address],
        // A compiler may have put it into its callers.
        None => [WRITE, WRITE_EX, WRITE_EX2]
            .into_iter()
            .filter_map(|name| functions.survey.function(name))
            .map(|finding| finding.address)
            .collect(),
    };
    let mut slots = Vec::new();
    for function in outer {
        slots.extend(slots_of(functions, function, hands_on)?);
    }
    let slot = only(slots).ok_or(Cause::Methods)?;
    let methods = Methods::find(functions.linkage, functions.survey)?;
    let write = methods.function(functions.image, slot.at)?;
    let inner = only(slots_of(functions, write, writes_application_data)?).ok_or(Cause::Methods)?;
    if inner.table != slot.table {
        return Err(Cause::Methods);
    }
    methods.function(functions.image, inner.at)
}

/// A slot of a connection's method table.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot {
    /// Where a connection has the address of its table.
    table: u16,
    /// Where in the table the place is.
    at: u16,
}

fn slots_of(functions: Functions<'_, '_>, address: Vaddr, form: fn(&Call) -> bool) -> Result<Vec<Slot>, Cause> {
    let effects = functions.effects(address)?;
    let slot = |call: &Call| match call.target {
        Target::Value(value) => match value.field().and_then(Field::two)? {
            ([table, at], WORD) => Some(Slot { table, at }),
            _ => None,
        },
        Target::To(_) => None,
    };
    Ok(effects
        .calls
        .iter()
        .filter(|call| form(call))
        .filter_map(slot)
        .collect())
}

/// Recognises a call that hands on the connection, the buffer and its length.
fn hands_on(call: &Call) -> bool {
    let [connection, buffer, length, ..] = call.arguments;
    let is_length = |value: Value| {
        value
            .field()
            .and_then(Field::as_part_of_argument)
            .is_some_and(|part| part.0 == 2)
    };
    is_argument(connection, 0) && is_argument(buffer, 1) && is_length(length)
}

/// Recognises a call that hands them on behind the type of a record.
fn writes_application_data(call: &Call) -> bool {
    let [connection, kind, buffer, length, written, _] = call.arguments;
    is_argument(connection, 0)
        && kind == Value::Constant(APPLICATION_DATA.into())
        && is_argument(buffer, 1)
        && is_argument(length, 2)
        && is_argument(written, 3)
}

pub(super) fn is_argument(value: Value, index: usize) -> bool {
    value.field().and_then(Field::as_argument) == Some(index)
}

/// Returns what all are, if there is any.
pub(super) fn only<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Option<T> {
    let mut all = all.into_iter();
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}
