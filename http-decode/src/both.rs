//! One thing for each direction of a connection.
//!
//! In: a direction. Out: what belongs to it. Refuses nothing.

use crate::Direction;

/// One for what is read, one for what is written.
#[derive(Debug, Default)]
pub(crate) struct Both<T> {
    pub(crate) read: T,
    pub(crate) write: T,
}

impl<T> Both<T> {
    /// Makes one for each direction.
    pub(crate) fn new(mut make: impl FnMut(Direction) -> T) -> Self {
        Self {
            read: make(Direction::Read),
            write: make(Direction::Write),
        }
    }

    /// Shows the one of a direction.
    pub(crate) const fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Lends the one of a direction.
    pub(crate) const fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// Shows both.
    pub(crate) const fn all(&self) -> [&T; 2] {
        [&self.read, &self.write]
    }

    /// Lends both.
    pub(crate) const fn all_mut(&mut self) -> [&mut T; 2] {
        [&mut self.read, &mut self.write]
    }
}
