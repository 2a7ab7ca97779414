//! The options of exports.

use std::net::SocketAddr;

use clap::Args;
use tracer_observe::output::Sink;

use crate::{
    error::Error,
    metrics::Metrics,
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
}

impl ExportArgs {
    /// Opens the exports that are asked for. What one of them has to tell the user later, it tells `say`, line by line.
    pub fn open(&self, say: fn(&str)) -> Result<Vec<Box<dyn Sink + Send>>, Error> {
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
        Ok(exports)
    }
}
