//! OpenTelemetry: exchanges as spans, lines as log records, and metrics, sent to a collector by OTLP.
//!
//! A line becomes records in the thread of the lines, encoded, and its memory is free. The records wait in a queue that is
//! bounded in bytes, one for each signal, from which a thread makes requests. What the collector does not take in time is
//! dropped and counted.

mod signal;
mod options;
mod attributes;
mod ids;
mod record;
mod container;
mod resource;
mod span;
mod traces;
mod metrics;
mod logs;
mod open;
mod queue;
mod transport;
mod voice;
mod sender;
mod exporter;
mod sink;
#[cfg(test)]
mod sample;

pub use options::OtlpArgs;

use tracer_observe::batch::Source;

use self::{
    exporter::Exporter,
    options::{Environment, OptionError, Settings},
    sink::Otlp,
    transport::TlsError,
};

impl OtlpArgs {
    /// Opens the export, if it is asked for. Without a URL, it takes the one of the environment.
    pub(crate) fn open(&self, source: Source, say: fn(&str)) -> Result<Option<Otlp>, Error> {
        let variable = |name: &str| std::env::var(name).ok();
        let settings = Settings::new(self, &Environment(&variable)).map_err(Error::Option)?;
        let Some(settings) = settings else {
            return Ok(None);
        };
        let exporter = Exporter::start(&settings.targets, source, say)?;
        Ok(Some(Otlp::new(settings, exporter, source)))
    }
}

/// Why OTLP could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A variable of the environment.
    #[error(transparent)]
    Option(OptionError),
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The thread could not be started.
    #[error("the thread could not be started")]
    Thread(#[from] std::io::Error),
}
