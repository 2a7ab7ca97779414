//! The one place where ABI types become map values.

use aya::Pod;
use zerocopy::{Immutable, IntoBytes, KnownLayout};

/// An ABI type as a map value or a global.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct MapValue<T>(pub(super) T);

// SAFETY: `IntoBytes` proves that there is no padding and `Copy` that there is nothing to drop; both sides of the
// boundary are compiled from the same definition.
unsafe impl<T: Copy + Immutable + IntoBytes + KnownLayout + 'static> Pod for MapValue<T> {}
