//! The way from a connection to its descriptor, by the code of functions that were found, as accessors have no names either.

use std::collections::BTreeSet;

use crate::code::Field;
use crate::code::effects::{Effects, Place};
use crate::elf::address::Vaddr;
use crate::libraries::layout::BioLayout;
use crate::libraries::openssl::derived::Derived;
use crate::libraries::openssl::offsets::bio_by_number;
use crate::libraries::openssl::stripped::target;
use crate::libraries::openssl::tap::boring::effects;
use crate::libraries::openssl::tap::is_connection;
use crate::libraries::openssl::tap::linkage::Linkage;

use super::reported::Reported;
use super::transfer::is_own;

/// From a method of BIOs to the function that writes (`bwrite_old` in `include/internal/bio.h`).
const WRITES: u64 = 0x18;
/// Bytes of a pointer, and of a descriptor.
const POINTER: u8 = 8;
const DESCRIPTOR: u8 = 4;

/// A function that gives a connection a BIO, and the field that it stores it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Setter {
    pub(super) address: Vaddr,
    pub(super) field: u16,
}

/// What is known of a connection's BIOs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bios {
    /// `SSL_set0_rbio`.
    pub(super) rbio: Option<Setter>,
    /// `SSL_set0_wbio`.
    pub(super) wbio: Option<Setter>,
    /// `SSL_set_bio`.
    pub(super) both: Option<Vaddr>,
}

impl Bios {
    /// Finds them by what the functions that set descriptors call with their connection.
    pub(super) fn find(
        linkage: &Linkage<'_, '_>,
        setting: impl Fn(&str) -> Option<Vaddr>,
        reported: &[Reported],
    ) -> Self {
        let called = |name: &str| {
            let setting = setting(name);
            let effects = reported
                .iter()
                .find(|one| Some(one.address) == setting)
                .map(|one| &one.effects);
            effects.map(called_with_connection).unwrap_or_default()
        };
        let rbio = only(
            called("SSL_set_rfd")
                .into_iter()
                .filter_map(|address| setter(linkage, address)),
        );
        let wbio = only(
            called("SSL_set_wfd")
                .into_iter()
                .filter_map(|address| setter(linkage, address)),
        );
        let (Some(rbio), Some(wbio)) = (rbio, wbio) else {
            return Self::default();
        };
        if rbio.field == wbio.field {
            return Self::default();
        }
        let sets_both = |address: &Vaddr| {
            ![rbio.address, wbio.address].contains(address)
                && effects(linkage, *address).is_ok_and(|effects| reaches(&effects, rbio) && reaches(&effects, wbio))
        };
        Self {
            rbio: Some(rbio),
            wbio: Some(wbio),
            both: only(called("SSL_set_fd").into_iter().filter(sets_both)),
        }
    }

    /// Returns the way to the descriptor; `socket` is the method of socket BIOs.
    pub(super) fn derived(self, linkage: &Linkage<'_, '_>, socket: Option<Vaddr>) -> Derived {
        Derived {
            rbio: self.rbio.map(|setter| setter.field),
            wbio: self.wbio.map(|setter| setter.field),
            bio: socket.and_then(|socket| bio(linkage, socket)),
        }
    }
}

/// Returns the one of some findings.
fn only<T: Ord>(found: impl Iterator<Item = T>) -> Option<T> {
    let found: BTreeSet<_> = found.collect();
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}

/// Lists the functions that a function calls with its connection.
fn called_with_connection(effects: &Effects) -> BTreeSet<Vaddr> {
    let calls = effects.calls.iter().filter(|call| is_connection(call.arguments[0]));
    calls.filter_map(target).collect()
}

/// Recognises a function that stores its second argument to one field of its first.
fn setter(linkage: &Linkage<'_, '_>, address: Vaddr) -> Option<Setter> {
    let effects = effects(linkage, address).ok()?;
    let stored = effects.stored.iter().filter(|store| is_own(store.value, 1));
    let fields = stored.filter_map(|store| match store.to {
        Place::Field(field) => field.one(),
        Place::Stack(_) => None,
    });
    let (field, width) = only(fields)?;
    (width == POINTER).then_some(Setter { address, field })
}

/// Returns whether a function stores to the field of a setter, or calls that setter with its connection.
fn reaches(effects: &Effects, setter: Setter) -> bool {
    let mut stores = effects.stored.iter();
    let is_stored = stores.any(|store| match store.to {
        Place::Field(field) => field.one() == Some((setter.field, POINTER)),
        Place::Stack(_) => false,
    });
    is_stored || called_with_connection(effects).contains(&setter.address)
}

/// Finds where a BIO keeps its descriptor: what writes to a socket hands it on with the bytes.
fn bio(linkage: &Linkage<'_, '_>, method: Vaddr) -> Option<BioLayout> {
    let writes = linkage.image.pointer_at(method.checked_add(WRITES)?)?;
    if !linkage.begins(writes) {
        return None;
    }
    let effects = effects(linkage, writes).ok()?;
    let calls = effects.calls.iter().filter(|call| is_own(call.arguments[1], 1));
    let (number, width) = only(calls.filter_map(|call| call.arguments[0].field().and_then(Field::one)))?;
    (width == DESCRIPTOR).then(|| bio_by_number(number)).flatten()
}
