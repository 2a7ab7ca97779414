//! Bytes of a traced process that have not been redacted yet.
//!
//! The type has no `Display`, and its `Debug` prints the length alone, so that a forgotten `{:?}` leaks nothing. The only
//! way to the bytes is `expose`, which is easy to search for.

use std::fmt;

/// A field value, a path or an authority as the traced process sent it, owned or borrowed.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Unredacted<T = Box<[u8]>>(T);

impl Unredacted {
    /// Copies `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes. The caller is responsible for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Unredacted<&'a [u8]> {
    /// Borrows `bytes`.
    pub const fn borrowed(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes. The caller is responsible for where they go.
    pub const fn expose(self) -> &'a [u8] {
        self.0
    }
}

impl<T: AsRef<[u8]>> Unredacted<T> {
    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.0.as_ref().len()
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_empty()
    }
}

impl From<Vec<u8>> for Unredacted {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice())
    }
}

impl<T: AsRef<[u8]>> fmt::Debug for Unredacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_a_length_and_no_content() {
        assert_eq!(format!("{:?}", Unredacted::new(b"hunter2")), "<7 bytes>");
        assert_eq!(format!("{:?}", Unredacted::borrowed(b"hunter2")), "<7 bytes>");
    }
}
