//! Where the addresses of functions are loaded from that a function ends by jumping to.

use super::Body;
use crate::code::field::Field;
use crate::code::operation::{Memory, Operation, Source, Way};
use crate::limits;

/// Says where the address of a function is loaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pointer {
    /// From a field of an argument.
    Field(Field),
    /// From so many bytes behind an address that is not known, for a function that is given the first argument.
    Behind(u16),
}

/// Returns where the address is loaded from that a jump leads to, if there is no frame.
pub(super) fn pointer(body: &Body<'_>, jump: usize) -> Option<Pointer> {
    let node = body.graph.nodes.get(jump)?;
    let Some(Operation::JumpThrough(source)) = node.lifted.operations.last() else {
        return None;
    };
    let state = body.forward.state(jump).filter(|state| state.is_at_return_address())?;
    let field = state
        .value(*source, 8)
        .field()
        .filter(|field| field.as_argument().is_none());
    field.map(Pointer::Field).or_else(|| {
        let [first] = state.arguments();
        let is_given = first.field().and_then(Field::as_argument) == Some(0);
        let loaded = if is_given {
            loaded(body, jump, *source)?
        } else {
            return None;
        };
        u16::try_from(loaded.offset).ok().map(Pointer::Behind)
    })
}

/// Finds the place that a register was loaded from, by the instructions right before a node.
fn loaded(body: &Body<'_>, node: usize, source: Source) -> Option<Memory> {
    let register = match source {
        Source::Memory(memory) => return memory.base.map(|_| memory),
        Source::Register(register) => register,
        Source::Constant(_) | Source::Address(_) => return None,
    };
    let mut here = node;
    for _ in 0..limits::TABLE_DISTANCE {
        let [previous] = body.before.get(here)?[..] else {
            return None;
        };
        for operation in body.graph.nodes.get(previous)?.lifted.operations.iter().rev() {
            if let Operation::Set {
                to,
                from: Source::Memory(memory),
                width: 8,
            } = *operation
                && to == register
            {
                return memory.base.map(|_| memory);
            }
            if operation.writes() >> register & 1 == 1 || matches!(operation.way(), Way::Call(_)) {
                return None;
            }
        }
        here = previous;
    }
    None
}
