//! What the rules of a policy ask the gate of each exchange.

/// What is wanted of each exchange.
#[derive(Clone, Debug, Default)]
pub struct WantedFacts {
    /// Whether sizes of heads are.
    pub sizes: bool,
    /// Names of the fields of requests whose fingerprints are, in lower case.
    pub credentials: Vec<String>,
}

impl WantedFacts {
    /// Returns whether nothing is wanted.
    pub(super) const fn is_nothing(&self) -> bool {
        let Self { sizes, credentials } = self;
        !*sizes && credentials.is_empty()
    }
}
