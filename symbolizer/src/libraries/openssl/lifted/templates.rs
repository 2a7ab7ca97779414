//! OpenSSL 3.2 and later: the templates of the records that a write is cut into, which are on the stack.
//!
//! `ssl3_write_bytes` hands an array of templates to the record layer, by an indirect call; a template is what it was made
//! of: the type, the version, a part of the buffer, and its length. All of an array are parts of the buffer in order, and
//! `rlayer.wpend_tot` holds how many bytes they have together (rec_layer_s3.c of OpenSSL 3.2 to 3.5), so that the first
//! one and that number are enough. The record layer retries by another call, and its alerts come from another function:
//! the frame of this call is not on the stack then.

use super::pending::{callees, compared_with};
use super::{APPLICATION_DATA, Functions, WORD, lift, sequence};
use crate::cause::Cause;
use crate::code::effects::{Call, Effects, Place as Stored, Store, Target};
use crate::code::{Field, Value};
use crate::elf::address::Vaddr;
use crate::hook::Hook;
use crate::libraries::openssl::functions::WRITE_BYTES;
use crate::operand::{Guard, Operand, Operands, Place};

/// How wide the type in a template is: a byte.
const TYPE: u8 = 1;
/// How large a template is at most.
const TEMPLATE: i64 = 64;
/// How far the return address that a call leaves is below where the stack pointer was.
const RETURN_ADDRESS: i64 = 8;

/// Describes a call that hands over templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handover {
    call: Call,
    /// Where the stack pointer is then, counted from where it was when the function was entered.
    stack: i64,
    /// Where in a connection the address of the record layer is.
    layer: u16,
    /// Which of the record layer's methods is called.
    method: u16,
    /// Where in a connection the number of the bytes in all templates is.
    total: u16,
    /// Where the parts of the first template are, above the slot of the return address.
    kind: u16,
    buffer: u16,
    length: u16,
}

/// Lists the calls of a function that hand over templates; up to OpenSSL 3.1 there are none.
pub(super) fn handovers(write_bytes: &Effects) -> Vec<Handover> {
    let calls = write_bytes.calls.iter();
    calls.filter_map(|call| handover(call, &write_bytes.stored)).collect()
}

fn handover(call: &Call, stored: &[Store]) -> Option<Handover> {
    let [layer, Value::Stack(array), ..] = call.arguments else {
        return None;
    };
    let (Target::Value(method), Some(stack)) = (call.target, call.stack) else {
        return None;
    };
    // The function is one of the record layer's methods, which a connection has beside it.
    let ([_, method], WORD) = method.field()?.two()? else {
        return None;
    };
    let within =
        |store: &&Store| matches!(store.to, Stored::Stack(at) if at >= array && at < array.saturating_add(TEMPLATE));
    let parts = || stored.iter().filter(within);
    let at = |store: &Store| match store.to {
        Stored::Stack(at) => u16::try_from(at.checked_sub(stack)?.checked_add(RETURN_ADDRESS)?).ok(),
        Stored::Field(_) => None,
    };
    let is_type = |value: Value| value.field().and_then(Field::as_part_of_argument) == Some((1, TYPE));
    let is_buffer = |value: Value| value.is_from(2);
    let kinds = parts().filter(|store| store.width == TYPE && is_type(store.value));
    let (buffers, lengths): (Vec<_>, Vec<_>) = parts()
        .filter(|store| store.width == WORD)
        .partition(|store| is_buffer(store.value));
    Some(Handover {
        call: *call,
        stack,
        layer: word(layer)?,
        method,
        total: call.stored.and_then(Field::one).map(|(offset, _)| offset)?,
        // Where a loop is unrolled, later templates follow.
        kind: kinds.filter_map(at).min()?,
        buffer: buffers.into_iter().filter_map(at).min()?,
        length: lengths.into_iter().filter_map(at).min()?,
    })
}

fn word(value: Value) -> Option<u16> {
    match value.field()?.one()? {
        (offset, WORD) => Some(offset),
        _ => None,
    }
}

/// Makes the hook in `ssl3_write_bytes`.
pub(super) fn hook(
    functions: Functions<'_, '_>,
    (address, effects): (Vaddr, &Effects),
    handover: &Handover,
) -> Result<Hook, Cause> {
    let checked = callees(effects).into_iter().filter_map(|at| functions.effects(at).ok());
    let is_total = |effects: &Effects| compared_with(effects, 3, WORD).any(|offset| offset == handover.total);
    if !is_total(effects) && !checked.into_iter().any(|effects| is_total(&effects)) {
        return Err(Cause::NoPending);
    }
    let sequence = sequence::of_record_layer(functions, handover.method).ok_or(Cause::NoSequence)?;
    let framed = |offset, width| Operand::at(Place::Frame(offset), width);
    let operands = Operands {
        buffer: Some(framed(handover.buffer, WORD)),
        length: Some(framed(handover.length, WORD)),
        count: Some(Operand::loaded(Place::Connection, handover.total, WORD)),
        sequence: Some(Operand {
            place: Place::Connection,
            loads: [Some(handover.layer), Some(sequence)],
            width: WORD,
        }),
        guards: [
            Some(Guard {
                operand: framed(handover.kind, TYPE),
                equals: APPLICATION_DATA,
            }),
            None,
        ],
        ..lift::NOTHING
    };
    let unknown = Cause::NotUnderstood(handover.call.at);
    Ok(Hook {
        site: lift::site(functions, handover.call.at).ok_or(unknown)?,
        returns_to: Some(handover.call.next),
        ..lift::hook(functions, (WRITE_BYTES, address), operands)?
    })
}
