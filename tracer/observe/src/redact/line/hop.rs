//! Hops in lines of output.

use serde::Serialize;

use super::{exchange::ExchangeLine, field::FieldLine};
use crate::redact::{Printable, Time};

/// A downstream exchange with the upstream exchanges that the gateway made because of it, or one of them that is alone.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HopLine<'a> {
    /// Id of the downstream exchange, or of the upstream one if that is alone.
    pub id: String,
    /// Time of the first byte of that exchange, RFC 3339.
    pub time: Time,
    /// Process id.
    pub pid: u32,
    /// Short name of the process.
    pub process: Printable<'a>,
    /// Microseconds during which no upstream exchange was in progress, from the first byte of the request to the end of the
    /// response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_us: Option<u64>,
    /// Ids of the downstream exchanges that an upstream exchange may belong to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Printable<'a>>,
    /// The downstream exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downstream: Option<ExchangeObject<'a>>,
    /// The upstream exchanges, in the order of their first bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamLine<'a>>,
    /// See [`ExchangeLine::encoding`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
}

impl<'a> HopLine<'a> {
    /// Returns the exchanges: the downstream one first.
    pub fn exchanges(&self) -> impl Iterator<Item = &ExchangeLine<'a>> {
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.exchange);
        self.downstream
            .iter()
            .chain(upstreams)
            .map(|ExchangeObject(line)| &**line)
    }
}

/// An upstream exchange of a hop.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct UpstreamLine<'a> {
    /// How it was joined, by [`How::name`](crate::join::How::name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<&'static str>,
    /// Whether its connection had been used before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reused: Option<bool>,
    /// Microseconds from the first byte of its request to the end of the head of its response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_first_byte_us: Option<u64>,
    /// What differs in its request from that of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_diff: Option<DiffLine<'a>>,
    /// What differs in the response to the client from its response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_diff: Option<DiffLine<'a>>,
    /// The exchange.
    pub exchange: ExchangeObject<'a>,
}

/// An exchange within a hop. It is written like the line of an exchange, with version and type.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename = "exchange")]
pub struct ExchangeObject<'a>(pub Box<ExchangeLine<'a>>);

/// Name of a field, and its values before and after.
pub type ChangeLine<'a> = (Printable<'a>, Printable<'a>, Printable<'a>);

/// What a gateway changed in a head.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DiffLine<'a> {
    /// Fields that it added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<FieldLine<'a>>,
    /// Fields that it removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<FieldLine<'a>>,
    /// Fields, and parts of the first line, whose value it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChangeLine<'a>>,
    /// Names of fields that it moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reordered: Vec<Printable<'a>>,
    /// Whether both heads are known as a whole: what is not listed is the same then.
    pub complete: bool,
}
