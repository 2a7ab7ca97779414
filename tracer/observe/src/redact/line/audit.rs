//! Audit lines.

use serde::Serialize;

use crate::redact::{Printable, Time};

/// Who traced what: at the start of a trace or a replay, at its end, or in place of both if it fails before it begins.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AuditLine<'a> {
    /// When it was, RFC 3339.
    pub time: Time,
    /// What it is about, by [`Event::name`](crate::audit::Event::name).
    pub event: &'static str,
    /// Distinguishes the traces of a machine.
    pub run: Printable<'a>,
    /// Name of the machine.
    pub host: Printable<'a>,
    /// Version and commit of tlscope.
    pub version: Printable<'a>,
    /// Process id of tlscope.
    pub pid: u32,
    /// The command.
    pub command: &'static str,
    /// Who runs it, as the kernel has it.
    pub user: AuditUserLine<'a>,
    /// From where, as the kernel has it.
    pub from: AuditOriginLine<'a>,
    /// What the environment says of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<AuditClaimsLine<'a>>,
    /// What becomes of secrets, by [`Secrets::name`](crate::audit::Secrets::name).
    pub secrets: &'static str,
    /// Options that select processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<GivenLine<'a>>,
    /// Options that select exchanges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<GivenLine<'a>>,
    /// Options about where lines go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<GivenLine<'a>>,
    /// Other options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<GivenLine<'a>>,
    /// Options and processes that are left out, because there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
    /// The processes that are traced at the start, or that the tape names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<AuditProcessLine<'a>>,
    /// Why it does not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Printable<'a>>,
    /// How it ended, by [`Ended::name`](crate::audit::Ended::name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// Microseconds since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Exchanges that were printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchanges: Option<u64>,
    /// Records that were not captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_records: Option<u64>,
    /// Bytes that those records would have held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_bytes: Option<u64>,
    /// Processes that were traced, all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes_traced: Option<u64>,
    /// `latin1` if masking left a value that is not UTF-8: each character of every value then stands for one byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

/// Long name of an option, and its value; `None` if it takes none.
pub type GivenLine<'a> = (Printable<'a>, Option<Printable<'a>>);

/// Who runs tlscope.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AuditUserLine<'a> {
    /// Real user id.
    pub uid: u32,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Printable<'a>>,
    /// User id at login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_name: Option<Printable<'a>>,
}

/// From where tlscope is run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AuditOriginLine<'a> {
    /// The controlling terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<Printable<'a>>,
    /// Short name of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Printable<'a>>,
    /// Process id of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_pid: Option<u32>,
}

/// What environment variables say, which whoever runs tlscope can set to anything.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AuditClaimsLine<'a> {
    /// `SUDO_USER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<Printable<'a>>,
    /// `SUDO_UID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_uid: Option<Printable<'a>>,
    /// The address in `SSH_CONNECTION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_client: Option<Printable<'a>>,
}

/// A process that is traced at the start.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AuditProcessLine<'a> {
    /// Process id.
    pub pid: u32,
    /// Short name.
    pub name: Printable<'a>,
}
