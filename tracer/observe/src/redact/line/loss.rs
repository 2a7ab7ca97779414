//! Missing bytes in lines of output.

use serde::Serialize;

use super::connection::ConnectionLine;
use crate::redact::{Printable, Time};

/// Bytes that are missing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LossLine<'a> {
    /// When it was noticed, RFC 3339.
    pub time: Time,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// The connection.
    pub connection: ConnectionLine<'a>,
    /// Direction of the bytes: `read` or `write`.
    pub direction: &'static str,
    /// Position of the first missing byte.
    pub position: u64,
    /// Number of missing bytes, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why, by [`GapCause::name`](http_decode::GapCause::name).
    pub cause: &'static str,
}
