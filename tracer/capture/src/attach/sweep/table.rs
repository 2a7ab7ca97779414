//! The maps that can fill up, as messages and `health` lines name them.

/// A map that can fill up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// Traced processes.
    Targets,
    /// Calls in flight.
    Calls,
    /// Tracked connections.
    Connections,
    /// What need not be captured of connections.
    Skips,
    /// Threads in a call, of processes with ciphertext lookup.
    Threads,
    /// Pieces of ciphertext that are looked up in what sockets send.
    Ciphertexts,
    /// Sockets of tracked connections.
    Sockets,
}

impl Table {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Targets => "TARGETS",
            Self::Calls => "CALLS",
            Self::Connections => "CONNECTIONS",
            Self::Skips => "SKIPS",
            Self::Threads => "THREADS",
            Self::Ciphertexts => "CIPHERTEXTS",
            Self::Sockets => "SOCKETS",
        }
    }

    /// Returns its contents in one word, as the `health` lines name it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Targets => "processes",
            Self::Calls => "calls",
            Self::Connections => "connections",
            Self::Skips => "skips",
            Self::Threads => "threads",
            Self::Ciphertexts => "ciphertexts",
            Self::Sockets => "sockets",
        }
    }

    /// Returns its contents, and what happens when it is full.
    pub const fn description(self) -> (&'static str, &'static str) {
        match self {
            Self::Targets => ("processes", "processes are not traced"),
            Self::Calls => ("calls in flight", "calls are not captured"),
            Self::Connections => ("connections", "calls are not captured (--max-connections)"),
            Self::Skips => ("connections whose bodies are skipped", "bodies are copied"),
            Self::Threads => (
                "threads in a call",
                "connections whose BIO is not a socket's own have no address",
            ),
            Self::Ciphertexts => (
                "pieces of ciphertext",
                "connections whose BIO is not a socket's own have no address",
            ),
            Self::Sockets => ("sockets", "closed sockets are not reported"),
        }
    }
}

/// How full a map is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fill {
    /// The map.
    pub table: Table,
    /// Number of entries.
    pub used: usize,
    /// Maximum number of entries.
    pub room: usize,
}
