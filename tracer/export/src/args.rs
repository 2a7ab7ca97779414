//! The options of exports.

use clap::Args;
use tracer_observe::output::Sink;

use crate::error::Error;

/// Where lines go beside the output.
#[derive(Args, Clone, Debug, Default)]
pub struct ExportArgs {}

impl ExportArgs {
    /// Opens the exports that are asked for. What one of them has to tell the user later, it tells `say`, line by line.
    pub fn open(&self, _say: fn(&str)) -> Result<Vec<Box<dyn Sink + Send>>, Error> {
        Ok(Vec::new())
    }
}
