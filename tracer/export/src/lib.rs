//! Exports: sinks beside the output, which send lines to other systems.
//!
//! An export gets what the output gets, after redaction. It has a thread of its own behind a bounded queue: another system
//! that is down or slow costs lines, which are counted, and never memory, the output or the end of the run.

#![forbid(unsafe_code)]

mod limits;
mod error;
mod metrics;
mod otlp;
mod syslog;
mod args;

pub use args::ExportArgs;
pub use error::Error;
pub use otlp::OtlpArgs;
pub use syslog::Destination as SyslogDestination;
