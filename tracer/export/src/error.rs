//! Why an export could not be opened.

/// Why an export could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// That of `--otlp`.
    #[error("--otlp")]
    Otlp(#[source] Box<dyn std::error::Error + Send + Sync>),
}
