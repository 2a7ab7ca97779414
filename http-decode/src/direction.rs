//! The two directions of a connection, the side the traced process is on, and a container for state per direction.

use crate::named_enum;

named_enum! {
    /// Which way bytes go, as the traced process sees it.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub enum Direction {
        /// The traced process reads them.
        Read => "read",
        /// The traced process writes them.
        Write => "write",
    }
}

impl Direction {
    /// Returns the opposite direction.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }
}

named_enum! {
    /// The role of the traced process on a connection.
    #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
    pub enum Side {
        /// It sends requests.
        Client => "client",
        /// It sends responses.
        Server => "server",
    }
}

/// One value for each direction.
#[derive(Debug, Default)]
pub(crate) struct PerDirection<T> {
    pub(crate) read: T,
    pub(crate) write: T,
}

impl<T> PerDirection<T> {
    /// Makes one value for each direction.
    pub(crate) fn new(mut make: impl FnMut(Direction) -> T) -> Self {
        Self {
            read: make(Direction::Read),
            write: make(Direction::Write),
        }
    }

    /// Returns the value of a direction.
    pub(crate) const fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Returns the value of a direction, to be changed.
    pub(crate) const fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// Returns both values.
    pub(crate) const fn all(&self) -> [&T; 2] {
        [&self.read, &self.write]
    }

    /// Returns both values, to be changed.
    pub(crate) const fn all_mut(&mut self) -> [&mut T; 2] {
        [&mut self.read, &mut self.write]
    }
}
