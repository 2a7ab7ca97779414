//! Where connections begin and end: by the table of methods, which `SSL_write` calls through.
//!
//! The table holds the function that hands over data, at the place that a call through it shows. Before that come whether
//! the table is of datagrams, the function that begins a connection, and the one that ends it (`SSL_PROTOCOL_METHOD` in
//! `ssl/internal.h`). The last two have to fill and to clear the pointer that `SSL_read` copies from.

use std::collections::BTreeSet;

use crate::code::Value;
use crate::code::effects::{Effects, Place, Target};
use crate::elf::address::{Access, Vaddr};
use crate::libraries::openssl::tap::boring::effects;
use crate::libraries::openssl::tap::is_connection;
use crate::libraries::openssl::tap::linkage::Linkage;

/// From a connection to the pointer to its table.
const METHOD: u16 = 0;
/// From a table to the function that begins a connection, and to the one that ends it.
const BEGINS: u64 = 8;
const FREES: u64 = 16;
/// Bytes of a pointer.
const POINTER: u8 = 8;

/// The functions that begin and end connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ending {
    pub(super) begins: Vaddr,
    pub(super) frees: Vaddr,
}

/// Lists from where in the table of its connection a function takes functions that it calls with that connection.
pub(super) fn slots(effects: &Effects) -> Vec<u16> {
    let calls = effects.calls.iter().filter(|call| is_connection(call.arguments[0]));
    let slots = calls.filter_map(|call| match call.target {
        Target::Value(Value::Field(field)) => match field.two()? {
            ([METHOD, slot], POINTER) => Some(slot),
            _ => None,
        },
        Target::Value(_) | Target::To(_) => None,
    });
    slots.collect()
}

/// Finds the functions by the tables that hold one of those that hand over data at one of the places; none unless all such
/// tables have the same.
pub(super) fn find(
    linkage: &Linkage<'_, '_>,
    handing: &BTreeSet<Vaddr>,
    slots: &BTreeSet<u16>,
    state: u16,
) -> Option<Ending> {
    let places = linkage.image.places_of(handing);
    let tables: BTreeSet<_> = places
        .iter()
        .flat_map(|place| {
            slots
                .iter()
                .filter_map(|slot| Some(Vaddr(place.0.checked_sub((*slot).into())?)))
        })
        .collect();
    let found: BTreeSet<_> = tables
        .into_iter()
        .filter_map(|table| of_table(linkage, table, state))
        .collect();
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}

fn of_table(linkage: &Linkage<'_, '_>, table: Vaddr, state: u16) -> Option<Ending> {
    let image = linkage.image;
    if image.segments().containing(table)?.access != Access::Data || *image.bytes_from(table)?.first()? != 0 {
        return None;
    }
    let function = |at| {
        let address = image.pointer_at(table.checked_add(at)?)?;
        linkage.begins(address).then_some(address)
    };
    let (begins, frees) = (function(BEGINS)?, function(FREES)?);
    let sets = |address, is_value: fn(Value) -> bool| {
        let stored = effects(linkage, address)
            .map(|effects| effects.stored)
            .unwrap_or_default();
        let mut states = stored.iter().filter(|store| match store.to {
            Place::Field(field) => field.one() == Some((state, POINTER)),
            Place::Stack(_) => false,
        });
        states.any(|store| is_value(store.value))
    };
    let is_zero = |value| value == Value::Constant(0);
    let is_other = |value| value != Value::Constant(0);
    (sets(frees, is_zero) && sets(begins, is_other)).then_some(Ending { begins, frees })
}
