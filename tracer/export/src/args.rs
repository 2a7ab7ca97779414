//! The options of exports.

use std::net::SocketAddr;

use clap::Args;
use tracer_observe::{batch::Source, output::Sink};

use crate::{
    error::Error,
    metrics::Metrics,
    otlp::OtlpArgs,
    syslog::{Destination, Syslog},
};

/// Where lines go beside the output.
#[derive(Args, Clone, Debug, Default)]
pub struct ExportArgs {
    /// Serve metrics for Prometheus at this address, such as 127.0.0.1:9464, under /metrics; and /healthz
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Also send lines as JSON to a syslog server.
    #[arg(
        long,
        value_name = "URL",
        help = "Also send lines as JSON to a syslog server, such as udp://HOST:514 or tcp://HOST:601, or to unix:///dev/log"
    )]
    pub syslog: Option<Destination>,
    #[command(flatten)]
    otlp: OtlpArgs,
}

impl ExportArgs {
    /// Opens the exports that are asked for. What one of them has to tell the user later, it tells `say`, line by line.
    pub fn open(&self, source: Source, say: fn(&str)) -> Result<Vec<Box<dyn Sink + Send>>, Error> {
        let mut exports: Vec<Box<dyn Sink + Send>> = Vec::new();
        if let Some(address) = self.metrics {
            let metrics = Metrics::open(address).map_err(|source| Error::Metrics { address, source })?;
            say(&format!("metrics: http://{}/metrics", metrics.address()));
            exports.push(Box::new(metrics));
        }
        if let Some(destination) = &self.syslog {
            let syslog = Syslog::open(destination.clone(), say).map_err(Error::Syslog)?;
            exports.push(Box::new(syslog));
        }
        if let Some(otlp) = self.otlp.open(source, say).map_err(|error| Error::Otlp(error.into()))? {
            exports.push(Box::new(otlp));
        }
        Ok(exports)
    }
}
