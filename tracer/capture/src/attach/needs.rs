//! What a process needs of the files it maps, and for whom the probes of a file are.

/// Whom the probes of a file are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// For every process that maps the file, as far as its sites are cheap; the programs tell apart whom they are for.
    Everyone,
    /// For one process.
    Process,
}

/// What of a file a process needs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// It may give an SSL object a BIO that is not a socket's: then the ciphertext tells which socket it uses.
    pub ciphertext: bool,
}
