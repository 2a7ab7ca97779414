//! The number of the next record that a connection sends: eight bytes, of which the last counts first.

use std::collections::BTreeMap;

use super::chain::{is_argument, only};
use super::{Functions, WORD};
use crate::code::effects::{Call, Effects, Place, Store, Target};
use crate::code::fixpoint::Function;
use crate::code::{Field, counter};
use crate::elf::address::Vaddr;

/// How many methods a record layer has at most; OpenSSL 3.5 has 25.
const METHODS: u64 = 32;

/// Finds the number in a connection, up to OpenSSL 3.1.
///
/// Where `ssl3_write_bytes` has several records encrypted at once, it puts the number before the first, which is eight
/// bytes, and adds to the last of these. Only the number of what is written is used there.
pub(super) fn of_connection(write_bytes: &Effects) -> Option<u16> {
    let number = |offset: u16| {
        let last = (offset.checked_add(7)?, 1);
        let counts = |store: &Store| matches!(store.to, Place::Field(field) if field.one() == Some(last));
        write_bytes.stored.iter().any(counts).then_some(offset)
    };
    let words = write_bytes.loaded.iter().filter_map(|field| field.one());
    only(words.filter_map(|(offset, width)| number(offset).filter(|_| width == WORD)))
}

/// Finds the number in a record layer, since OpenSSL 3.2.
///
/// The function that counts it up is one of the record layer's methods. It lies in a table with the one that takes
/// records, at `write`, which hands its arguments on to a method of its own.
pub(super) fn of_record_layer(functions: Functions<'_, '_>, write: u16) -> Option<u16> {
    let mut known = BTreeMap::new();
    let mut counted = |address: Vaddr| *known.entry(address).or_insert_with(|| functions.counted(address));
    let mut found = Vec::new();
    for (place, target) in functions.image.code_pointers() {
        if let Some(sequence) = counted(target)
            && functions.is_beside_write(place, write)
        {
            found.push(sequence);
        }
    }
    only(found)
}

impl Functions<'_, '_> {
    fn counted(self, address: Vaddr) -> Option<u16> {
        let bytes = self.image.bytes_from(address)?;
        if !counter::may_count(self.image.machine(), bytes) {
            return None;
        }
        let counted = |function: Function<'_>| Ok(counter::counted(function, address));
        self.analysed(address, counted).ok()?
    }

    /// Returns whether a place may be in a table that has a function at `write` which takes records.
    fn is_beside_write(self, place: Vaddr, write: u16) -> bool {
        let tables = (0..METHODS).filter_map(|before| place.0.checked_sub(before * u64::from(WORD)));
        let writes = tables.filter_map(|table| table.checked_add(write.into()).map(Vaddr));
        let mut methods = writes.filter_map(|at| self.image.pointer_at(at));
        methods.any(|method| self.hands_on(method))
    }

    /// Returns whether a function hands its arguments on to a method of the object that is the first.
    fn hands_on(self, address: Vaddr) -> bool {
        let is_method = |target| matches!(target, Target::Value(value) if value.field().and_then(Field::two).is_some());
        let is_call = |call: &Call| {
            let own = call
                .arguments
                .iter()
                .zip(0..3)
                .all(|(value, index)| is_argument(*value, index));
            own && is_method(call.target)
        };
        self.effects(address)
            .is_ok_and(|effects| effects.calls.iter().any(is_call))
    }
}
