//! The options of exports.

use clap::Args;
use tracer_observe::{batch::Source, output::Sink};

use crate::{error::Error, otlp::OtlpArgs};

/// Where lines go beside the output.
#[derive(Args, Clone, Debug, Default)]
pub struct ExportArgs {
    #[command(flatten)]
    otlp: OtlpArgs,
}

impl ExportArgs {
    /// Opens the exports that are asked for. What one of them has to tell the user later, it tells `say`, line by line.
    pub fn open(&self, source: Source, say: fn(&str)) -> Result<Vec<Box<dyn Sink + Send>>, Error> {
        let mut exports: Vec<Box<dyn Sink + Send>> = Vec::new();
        if let Some(otlp) = self.otlp.open(source, say).map_err(|error| Error::Otlp(error.into()))? {
            exports.push(Box::new(otlp));
        }
        Ok(exports)
    }
}
