//! Up to OpenSSL 3.1: the fields that keep what a connection is sending.
//!
//! `ssl3_write_pending(s, type, buf, len, written)` compares its arguments with those that the record was made of, and
//! so names the fields: `wpend_tot`, `wpend_type` and `wpend_buf`. `wpend_ret` is what it stores where its last argument
//! points. A function beside it has to store its own arguments there, as `do_ssl3_write` does.
//!
//! A multi-block write sets the fields to all that its records hold, and so does one through several pipelines.

use super::chain::{is_argument, only};
use super::{APPLICATION_DATA, Functions, WORD, lift, sequence};
use crate::cause::Cause;
use crate::code::effects::{Call, Effects, Place as Stored, Store, Target};
use crate::code::{Destination, Field, Value};
use crate::elf::address::Vaddr;
use crate::hook::Hook;
use crate::libraries::openssl::functions::WRITE_PENDING;
use crate::operand::{Guard, Operand, Operands, Place};

/// How wide the type of a record is: an `int`.
const TYPE: u8 = 4;

/// Gives the offsets of the fields in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    total: u16,
    kind: u16,
    buffer: u16,
    returned: u16,
}

/// Makes the hook, from what `ssl3_write_bytes` does.
pub(super) fn hook(functions: Functions<'_, '_>, write_bytes: &Effects) -> Result<Hook, Cause> {
    // Those that are not understood are others.
    let callees = callees(write_bytes).into_iter();
    let callees: Vec<_> = callees
        .filter_map(|at| Some((at, functions.effects(at).ok()?)))
        .collect();
    let mut found = callees
        .iter()
        .filter_map(|(at, effects)| Some((*at, pending(effects)?)));
    let (Some((address, fields)), None) = (found.next(), found.next()) else {
        return Err(Cause::NoPending);
    };
    let all = callees.iter().map(|(_, effects)| effects).chain([write_bytes]);
    if !all.into_iter().any(|effects| fields.are_stored_by(effects)) {
        return Err(Cause::PendingNotStored);
    }
    let sequence = sequence::of_connection(write_bytes).ok_or(Cause::NoSequence)?;
    let field = |offset, width| Operand::loaded(Place::Connection, offset, width);
    let kind = Guard {
        operand: field(fields.kind, TYPE),
        equals: APPLICATION_DATA,
    };
    let operands = Operands {
        buffer: Some(field(fields.buffer, WORD)),
        length: Some(field(fields.returned, WORD)),
        count: Some(field(fields.total, WORD)),
        sequence: Some(field(sequence, WORD)),
        guards: [Some(kind), None],
        ..lift::NOTHING
    };
    lift::hook(functions, (WRITE_PENDING, address), operands)
}

/// Lists the functions of the image that are called with the same connection.
pub(super) fn callees(effects: &Effects) -> Vec<Vaddr> {
    let callee = |call: &Call| match call.target {
        Target::To(Destination::Code(address)) if is_argument(call.arguments[0], 0) => Some(address),
        Target::To(_) | Target::Value(_) => None,
    };
    let mut callees: Vec<_> = effects.calls.iter().filter_map(callee).collect();
    callees.sort_unstable();
    callees.dedup();
    callees
}

/// Returns whether a function is `ssl3_write_pending`, as far as what it does tells.
pub(super) fn is_pending(effects: &Effects) -> bool {
    pending(effects).is_some()
}

/// Reads the fields from what `ssl3_write_pending` does; `None` if this is another function.
fn pending(effects: &Effects) -> Option<Pending> {
    let returned = effects.stored.iter().filter_map(|store| match (store.to, store.value) {
        (Stored::Field(to), Value::Field(value)) if to.behind(4) == Some((0, WORD)) => word(value),
        _ => None,
    });
    Some(Pending {
        total: only(compared_with(effects, 3, WORD))?,
        kind: only(compared_with(effects, 1, TYPE))?,
        buffer: only(compared_with(effects, 2, WORD))?,
        returned: only(returned)?,
    })
}

/// Lists the fields that so many bytes of an argument are compared with.
pub(super) fn compared_with(effects: &Effects, argument: usize, width: u8) -> impl Iterator<Item = u16> {
    effects.compared.iter().filter_map(move |(left, right, compared)| {
        let field = |value: Value| value.field().and_then(Field::one).filter(|field| field.1 == width);
        let is_it = |value: Value| value.field().and_then(Field::as_part_of_argument) == Some((argument, width));
        let found = field(*left).filter(|_| is_it(*right));
        let found = found.or(field(*right).filter(|_| is_it(*left)));
        found.filter(|_| *compared == width).map(|(offset, _)| offset)
    })
}

/// Returns the offset of a field of the connection that has eight bytes.
fn word(field: Field) -> Option<u16> {
    field
        .one()
        .and_then(|(offset, width)| (width == WORD).then_some(offset))
}

impl Pending {
    /// Returns whether a function stores to all fields, and to none anything but what it was given, as far as that is known.
    fn are_stored_by(self, effects: &Effects) -> bool {
        let stores = |offset: u16, width, is_it: fn(Value) -> bool| {
            let to_field = |store: &&Store| match store.to {
                Stored::Field(field) => field.one() == Some((offset, width)),
                Stored::Stack(_) => false,
            };
            let mut values = effects
                .stored
                .iter()
                .filter(to_field)
                .map(|store| store.value)
                .peekable();
            values.peek().is_some() && values.all(|value| value == Value::Unknown || is_it(value))
        };
        let is_type = |value: Value| {
            let own = value.field().and_then(Field::as_part_of_argument) == Some((1, TYPE));
            own || value == Value::Constant(APPLICATION_DATA.into())
        };
        let is_number = |value: Value| !matches!(value, Value::Stack(_) | Value::Constant(_));
        stores(self.kind, TYPE, is_type)
            && stores(self.buffer, WORD, |value| value.is_from(2))
            && stores(self.total, WORD, is_number)
            && stores(self.returned, WORD, is_number)
    }
}
