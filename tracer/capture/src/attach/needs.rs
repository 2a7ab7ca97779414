//! Which processes a file is probed for, and which of its probes they need.

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
    /// Whether calls are probed beside taps and lifts too.
    pub calls: bool,
}
