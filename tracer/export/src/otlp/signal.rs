//! What is sent.

/// A signal of OpenTelemetry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, clap::ValueEnum)]
pub(crate) enum Signal {
    /// A span for each exchange.
    Traces,
    /// A log record for each line, with its JSON as body.
    Logs,
    /// Durations of exchanges, losses and the health of tlscope.
    Metrics,
}

impl Signal {
    /// Returns the name that variables of the environment have for it.
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
            Self::Metrics => "METRICS",
        }
    }

    /// Returns the path of requests over HTTP, behind that of the URL.
    pub(super) const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }

    /// Returns the path of requests over gRPC.
    pub(super) const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }

    /// Returns what its records are called.
    pub(super) const fn records(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "metrics",
        }
    }
}
