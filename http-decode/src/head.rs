//! Request and response heads, alike for HTTP/1.1 and HTTP/2.
//!
//! In: what the decoders read. Out: plain data. Refuses to guess: what is not known is `None`, and the head says how
//! many fields that concerns. Values are [`Unredacted`]; method, scheme and field names are checked tokens.

use std::borrow::Cow;

use crate::{Fields, Unredacted};

/// What a request says before its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHead {
    /// Method token, as sent.
    pub method: Option<Cow<'static, str>>,
    /// `https` in HTTP/1 unless the request target says otherwise.
    pub scheme: Option<Cow<'static, str>>,
    /// Host and port from the request target, or `:authority`; most requests of HTTP/1 have them in Host alone.
    pub target_authority: Option<Unredacted>,
    /// Path and query, or `*`; absent for CONNECT.
    pub path: Option<Unredacted>,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol_upgrade: Option<Box<str>>,
    /// Which of these the sender forbade compressing.
    pub never_indexed: NeverIndexed,
    /// Header fields in wire order, pseudo-header fields left out.
    pub fields: Fields,
    /// How many fields, pseudo-header fields included, are not wholly known; 0 means the head is complete.
    pub unknown: u32,
    /// In what the head is not well-formed, if it is not.
    pub malformed: Option<Malformed>,
}

impl RequestHead {
    /// What is left of a head of which nothing is clear.
    pub(crate) fn refused() -> Self {
        Self {
            scheme: Some(Cow::Borrowed("https")),
            unknown: 1,
            malformed: Some(Malformed::StartLine),
            ..Self::default()
        }
    }

    /// Returns whether it is what is left of a head that is none.
    pub(crate) fn is_refused(&self) -> bool {
        match self.malformed {
            Some(Malformed::StartLine | Malformed::TooLarge | Malformed::Unfinished) => true,
            Some(
                Malformed::Method
                | Malformed::Spaces
                | Malformed::PseudoHeader
                | Malformed::Field
                | Malformed::HeaderBlock,
            )
            | None => false,
        }
    }

    /// Says whom the request is for: the authority of its target, else that in Host (RFC 9110 section 7.2), unless there
    /// are several that differ (RFC 9112 section 3.2: an invalid request).
    pub fn authority(&self) -> Option<Unredacted<&[u8]>> {
        if let Some(authority) = &self.target_authority {
            return Some(Unredacted::borrowed(authority.expose()));
        }
        let mut hosts = self.fields.values("host");
        let first = hosts.next()?;
        let same = hosts.all(|other| other == first);
        (same && !first.is_empty()).then_some(first)
    }
}

/// Which parts of a request's target the sender forbade compressing (RFC 7541 section 6.2.3), as one does with secrets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NeverIndexed {
    /// `:authority`, or Host in its place.
    pub authority: bool,
    /// `:path`.
    pub path: bool,
}

/// What a response says before its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: Option<u16>,
    /// Header fields in wire order, pseudo-header fields left out.
    pub fields: Fields,
    /// How many fields, pseudo-header fields included, are not wholly known; 0 means the head is complete.
    pub unknown: u32,
    /// In what the head is not well-formed, if it is not.
    pub malformed: Option<Malformed>,
}

/// In what a head is not well-formed. What is not is left out of it and counted as unknown.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Malformed {
    /// The method is an unknown one where content may have run into it.
    Method,
    /// The request line has other white space than one space between its parts.
    Spaces,
    /// The request line or the status line.
    StartLine,
    /// A pseudo-header field of HTTP/2 that is unknown, repeated, missing, without a value it can have, or behind others.
    PseudoHeader,
    /// A field.
    Field,
    /// The header block of HTTP/2 cannot be decoded: what could be is there.
    HeaderBlock,
    /// The start line is longer than the limits allow.
    TooLarge,
    /// The head had not ended when it was answered.
    Unfinished,
}

/// A method token; the common ones are not copied.
pub(crate) fn method(token: &str) -> Cow<'static, str> {
    const COMMON: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"];
    let common = COMMON.into_iter().find(|common| *common == token);
    common.map_or_else(|| token.to_owned().into(), Cow::Borrowed)
}

/// A scheme, in lower case; the common ones are not copied.
pub(crate) fn scheme(scheme: &str) -> Cow<'static, str> {
    const COMMON: [&str; 2] = ["https", "http"];
    let common = COMMON.into_iter().find(|common| common.eq_ignore_ascii_case(scheme));
    common.map_or_else(|| scheme.to_ascii_lowercase().into(), Cow::Borrowed)
}
