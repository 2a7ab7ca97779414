//! Why an export could not be opened.

use std::{io, net::SocketAddr};

/// Why an export could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for metrics cannot be listened on.
    #[error("--metrics: {address} cannot be listened on")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The thread that sends messages could not be started.
    #[error("--syslog: no thread could be started")]
    Syslog(#[source] io::Error),
    /// That of `--otlp`.
    #[error("--otlp")]
    Otlp(#[source] Box<dyn std::error::Error + Send + Sync>),
}
