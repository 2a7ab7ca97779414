//! When bytes were read or written.

/// Nanoseconds on the caller's monotonic clock; this crate never reads one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub u64);
