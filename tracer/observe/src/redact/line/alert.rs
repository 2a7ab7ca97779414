//! Alerts in lines of output.

use serde::Serialize;

use super::connection::ConnectionLine;
use crate::redact::{Printable, Seen, Time};

/// An exchange that a rule of a policy matches.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AlertLine<'a> {
    /// Time of the exchange, RFC 3339.
    pub time: Time,
    /// Name of the rule.
    pub rule: Printable<'a>,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    /// What the policy says of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Printable<'a>>,
    /// Id of the exchange.
    pub id: Printable<'a>,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// Role of the traced process.
    pub side: &'static str,
    /// The connection.
    pub connection: ConnectionLine<'a>,
    /// Method of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Printable<'a>>,
    /// Host and port of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<Printable<'a>>,
    /// Path and query of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Printable<'a>>,
    /// Status of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Printable<'a>>,
    /// What the rule found.
    pub evidence: EvidenceLine<'a>,
    /// `latin1` if a value of the exchange was not UTF-8: each character of every value then stands for one byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

/// What a rule found.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct EvidenceLine<'a> {
    /// `request` or `response`, if it is about a head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<&'static str>,
    /// Name of the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Printable<'a>>,
    /// Its value, masked as in the line of the exchange, and cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Printable<'a>>,
    /// Server name that the client asked for in its handshake, masked like an authority, and cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Printable<'a>>,
    /// The part of the head that is not well-formed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<&'static str>,
    /// Of whom exchanges were counted: an address, the fingerprint of a credential, a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Printable<'a>>,
    /// How many there are: bytes, fields, exchanges, different values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What the rules of a policy ask of an exchange. It is not printed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    /// Of the request head.
    pub request: HeadFacts,
    /// Of the response head.
    pub response: HeadFacts,
    /// Fingerprints of the fields of the request that rules name, in their order; of one that is absent, unknown or masked by
    /// another tracer there is none. Empty if there are none.
    pub credentials: Vec<Option<String>>,
    /// The server name that the client asked for in its handshake, if the request is for another host.
    pub server_name: Option<Printable<'static>>,
}

/// What rules ask of a head.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HeadFacts {
    /// What they find in its fields.
    pub seen: Seen,
    /// Its sizes, if they are beyond what a rule allows at least.
    pub sizes: Option<Sizes>,
}

/// Sizes of a head before anything of it was masked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sizes {
    /// Bytes of all names and values that are known.
    pub bytes: u64,
    /// Bytes of the longest value.
    pub longest: u64,
    /// Which field has it.
    pub longest_at: usize,
}
