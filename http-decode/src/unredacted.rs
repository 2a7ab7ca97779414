//! Bytes of a traced process that have not been redacted yet.
//!
//! The type has no `Display`, and its `Debug` prints the length alone, so that a forgotten `{:?}` leaks nothing. The only
//! way to the bytes is `expose`, which is easy to search for.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A field value, a path or an authority as the traced process sent it, owned or borrowed.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Unredacted<T = Owned>(T);

/// Bytes of their own: in place if they are few, as most authorities and many paths are.
#[derive(Clone)]
pub struct Owned(Place);

#[derive(Clone)]
enum Place {
    Here(u8, [u8; FEW]),
    Elsewhere(Box<[u8]>),
}

/// Bytes that are in place: so many that [`Owned`] takes four words.
const FEW: usize = 30;

impl From<&[u8]> for Owned {
    fn from(bytes: &[u8]) -> Self {
        let mut few = [0; FEW];
        Self(match (u8::try_from(bytes.len()), few.get_mut(..bytes.len())) {
            (Ok(length), Some(room)) => {
                room.copy_from_slice(bytes);
                Place::Here(length, few)
            }
            (_, _) => Place::Elsewhere(bytes.into()),
        })
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Place::Here(length, few) => few.get(..usize::from(*length)).unwrap_or_default(),
            Place::Elsewhere(bytes) => bytes,
        }
    }
}

impl Eq for Owned {}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Unredacted {
    /// Copies `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes. The caller is responsible for where they go.
    pub fn expose(&self) -> &[u8] {
        self.0.as_ref()
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
        Self::new(&bytes)
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
    fn bytes_are_owned_in_place_or_elsewhere() {
        assert_eq!(size_of::<Option<Unredacted>>(), 32);
        for length in 0..300 {
            let bytes = vec![b'x'; length];
            let owned = Unredacted::new(&bytes);
            assert_eq!((owned.expose(), owned.len()), (&*bytes, length));
            assert_eq!(owned, Unredacted::from(bytes));
            assert_ne!(owned, Unredacted::new(&vec![b'x'; length + 1]));
        }
    }

    #[test]
    fn debug_prints_a_length_and_no_content() {
        assert_eq!(format!("{:?}", Unredacted::new(b"hunter2")), "<7 bytes>");
        assert_eq!(format!("{:?}", Unredacted::borrowed(b"hunter2")), "<7 bytes>");
    }
}
