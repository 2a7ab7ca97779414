//! The options of `--otlp`: those of the command line, then those of the environment.

mod url;
mod header;
mod environment;
mod settings;

use clap::Args;

pub(super) use environment::Environment;
pub(super) use header::{Captured, Header};
pub(super) use settings::{Settings, Target};
pub(super) use url::{Protocol, Security, Url};

use super::signal::Signal;

/// Where spans, logs and metrics go, and what they have.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::option_option, reason = "clap tells an option without a value from none so")]
#[command(next_help_heading = "OpenTelemetry")]
pub struct OtlpArgs {
    /// Send each exchange as a span to this collector too: http:// or https:// for OTLP over HTTP, grpc:// or grpcs:// for
    /// gRPC; without URL, to that of `OTEL_EXPORTER_OTLP_ENDPOINT`
    #[arg(long, value_name = "URL", num_args = 0..=1)]
    pub(super) otlp: Option<Option<Url>>,
    /// What to send: `traces`, `logs` (each line as JSON), `metrics`, or several of them
    #[arg(
        long,
        value_name = "SIGNAL",
        value_enum,
        value_delimiter = ',',
        default_value = "traces",
        requires = "otlp",
        hide_possible_values = true
    )]
    pub(super) otlp_signals: Vec<Signal>,
    /// Send this header field with each request, such as one for authentication; may be repeated. Other users see it in the
    /// list of processes, but not what `OTEL_EXPORTER_OTLP_HEADERS` has
    #[arg(long = "otlp-header", value_name = "NAME=VALUE", requires = "otlp")]
    pub(super) otlp_headers: Vec<Header>,
    /// Give spans the header fields with these names, of requests and responses, or `all`
    #[arg(long, value_name = "NAMES", requires = "otlp")]
    pub(super) otlp_capture_headers: Option<Captured>,
}

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionError {
    /// A variable of the environment is not valid.
    #[error("{name}: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
}
