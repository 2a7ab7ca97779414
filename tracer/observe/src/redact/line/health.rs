//! The health of the tracer in lines of output.

use serde::Serialize;

use crate::{
    correlate::LibraryName,
    redact::{Printable, Time},
};

/// The health of a ring, a table or the output.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HealthLine {
    /// When it was noticed, RFC 3339.
    pub time: Time,
    /// `ring` (the fullest), `table` (a BPF map), `output`, `rate_limit`, `policy` or `export`.
    pub subject: &'static str,
    /// Name of the table, by what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// `nearly_full` over nine tenths, `dropped` if something was dropped, `fine` after it recovered.
    pub state: &'static str,
    /// Bytes in the ring, entries in the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Bytes or entries that it has room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Records, entries, lines or exchanges dropped since the previous line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// A hook that does not serve a process, or is wrong for a file; printed as health.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HooksLine<'a> {
    /// When it was noticed, RFC 3339.
    pub time: Time,
    /// `hooks`.
    pub subject: &'static str,
    /// Kind of the hook: `tap` or `lift`.
    pub name: &'static str,
    /// `refused`.
    pub state: &'static str,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// TLS library.
    pub tls: LibraryName,
    /// Path of its file, as the process sees it.
    pub path: Printable<'a>,
    /// Why, by [`RefusalCause::name`](crate::event::RefusalCause::name).
    pub cause: &'static str,
}
