//! Makes ABI types usable as map values and globals of aya.

use aya::Pod;
use zerocopy::{Immutable, IntoBytes, KnownLayout};

/// Wraps an ABI type, because `Pod` cannot be implemented here for a type of another crate.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct MapValue<T>(pub(super) T);

// SAFETY: `Pod` requires that a value can be copied as bytes. `IntoBytes` proves that it has no padding, `Copy` that it has
// no destructor, and `'static` that it borrows nothing. aya reads values from maps as this type without `FromBytes`: both
// sides compile the same definition, so only such values are in the maps.
unsafe impl<T: Copy + Immutable + IntoBytes + KnownLayout + 'static> Pod for MapValue<T> {}
