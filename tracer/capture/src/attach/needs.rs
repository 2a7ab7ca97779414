//! Which processes a file is probed for, and which of its probes they need.

use tracer_ebpf::{Direction, TargetFlags};

/// Which processes the probes of a file are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Every process that maps the file, at the sites where a hit costs one trap; the programs ignore processes that are
    /// not traced. Other sites are still probed per process.
    AllProcesses,
    /// Single processes.
    OneProcess,
}

/// What a process needs from the files that it maps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// Whether it may give a connection a BIO that is not a socket's: then only the ciphertext shows which socket is
    /// used.
    pub ciphertext: bool,
    /// Which calls are probed beside taps and lifts too.
    pub calls: Calls,
}

/// Calls, by what they do with the bytes of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// Those that read.
    pub read: bool,
    /// Those that write.
    pub write: bool,
}

impl Calls {
    /// The directions that calls can have.
    pub const DIRECTIONS: [Direction; 2] = [Direction::READ, Direction::WRITE];

    /// Those of both directions.
    pub const BOTH: Self = Self {
        read: true,
        write: true,
    };

    /// Returns the calls of a direction.
    pub fn of(direction: Direction) -> Self {
        Self {
            read: direction == Direction::READ,
            write: direction == Direction::WRITE,
        }
    }

    /// Returns whether the calls of a direction are among them.
    pub fn has(self, direction: Direction) -> bool {
        if direction == Direction::READ {
            self.read
        } else {
            self.write
        }
    }

    /// Adds others.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self {
            read: self.read || others.read,
            write: self.write || others.write,
        }
    }

    /// Removes others.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self {
            read: self.read && !others.read,
            write: self.write && !others.write,
        }
    }

    /// Returns whether there are any.
    pub const fn is_any(self) -> bool {
        self.read || self.write
    }

    /// Returns the flags of a process whose calls these are.
    pub(super) fn flags(self) -> TargetFlags {
        let directions = Self::DIRECTIONS.into_iter().filter(|direction| self.has(*direction));
        directions.fold(TargetFlags::default(), |flags, direction| {
            flags.with(TargetFlags::calls(direction))
        })
    }
}
