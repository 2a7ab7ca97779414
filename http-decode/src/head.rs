//! Request and response heads, alike for HTTP/1.1 and HTTP/2.
//!
//! In: what the decoders read. Out: plain data. Refuses to guess: what is not known is `None`, and the head says how
//! many fields that concerns. Values are [`Unredacted`]; method, scheme and field names are checked tokens.

use crate::Unredacted;

/// One header or trailer field, in wire order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    /// Lower-case name; `None` when it was an index into a table never seen (HTTP/2 joined late).
    pub name: Option<Box<str>>,
    /// Value; `None` when it was an index into a table never seen.
    pub value: Option<Unredacted>,
    /// Whether the sender forbade compressing it (RFC 7541 section 6.2.3), as one does with secrets.
    pub never_indexed: bool,
}

/// What a request says before its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHead {
    /// Method token, as sent.
    pub method: Option<Box<str>>,
    /// `https` unless the request target says otherwise.
    pub scheme: Option<Box<str>>,
    /// Host and port from the request target, else from Host (RFC 9110 section 7.2).
    pub authority: Option<Unredacted>,
    /// Path and query, or `*`; absent for CONNECT.
    pub path: Option<Unredacted>,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol_upgrade: Option<Box<str>>,
    /// Header fields in wire order, pseudo-header fields left out.
    pub fields: Vec<Field>,
    /// How many fields, pseudo-header fields included, are not wholly known; 0 means the head is complete.
    pub unknown: u32,
}

/// What a response says before its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: Option<u16>,
    /// Header fields in wire order, pseudo-header fields left out.
    pub fields: Vec<Field>,
    /// How many fields, pseudo-header fields included, are not wholly known; 0 means the head is complete.
    pub unknown: u32,
}
