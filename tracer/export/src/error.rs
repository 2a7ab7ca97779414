//! Why an export could not be opened.

/// Why an export could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {}
