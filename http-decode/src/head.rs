//! Request and response heads, the same for HTTP/1 and HTTP/2.
//!
//! What is not known is `None`, and each head counts how many of its fields that concerns. Values are [`Unredacted`];
//! method, scheme and field names are valid tokens.

use std::borrow::Cow;

use crate::{Fields, Unredacted, named_enum};

/// The head of a request: request line or pseudo-header fields, and header fields.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHead {
    /// Method token, as sent.
    pub method: Option<Cow<'static, str>>,
    /// `https` in HTTP/1 unless the request target says otherwise.
    pub scheme: Option<Cow<'static, str>>,
    /// Host and port from the request target, or `:authority`; most HTTP/1 requests have them in Host alone.
    pub target_authority: Option<Unredacted>,
    /// Path and query, or `*`; absent for CONNECT.
    pub path: Option<Unredacted>,
    /// `:protocol` of an extended CONNECT (RFC 8441).
    pub protocol_upgrade: Option<Box<str>>,
    /// Those of the above that the sender forbade to index.
    pub never_indexed: NeverIndexed,
    /// Header fields in wire order, pseudo-header fields left out.
    pub fields: Fields,
    /// The number of fields, including pseudo-header fields, that are not wholly known; 0 means the head is complete.
    pub unknown: u32,
    /// What is malformed in the head, if anything is.
    pub malformed: Option<Malformed>,
}

impl RequestHead {
    /// Makes the head of a request of which nothing is clear.
    pub(crate) fn unparsable() -> Self {
        Self {
            scheme: Some(Cow::Borrowed("https")),
            unknown: 1,
            malformed: Some(Malformed::StartLine),
            ..Self::default()
        }
    }

    /// Returns whether the bytes were not a request head, so that only those parts that are clear are here.
    pub(crate) fn is_unparsable(&self) -> bool {
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

    /// Returns the authority that the request is for: that of its target, else that in Host (RFC 9110 section 7.2), unless
    /// several Host fields differ, which makes the request invalid (RFC 9112 section 3.2).
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

/// The parts of a request target that the sender forbade to index (RFC 7541 section 6.2.3), as is done with secrets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NeverIndexed {
    /// `:authority`, or Host in its place.
    pub authority: bool,
    /// `:path`.
    pub path: bool,
}

/// The head of a response.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHead {
    /// Status code, 100 to 999.
    pub status: Option<u16>,
    /// Header fields in wire order, pseudo-header fields left out.
    pub fields: Fields,
    /// The number of fields, including pseudo-header fields, that are not wholly known; 0 means the head is complete.
    pub unknown: u32,
    /// What is malformed in the head, if anything is.
    pub malformed: Option<Malformed>,
}

named_enum! {
    /// What is malformed in a head. The malformed part is left out of the head and counted as unknown.
    #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
    pub enum Malformed {
        /// The method, which is not a known one and may be content.
        Method => "method",
        /// The white space in the request line: not exactly one space between its parts.
        Spaces => "spaces",
        /// The request line or the status line.
        StartLine => "start-line",
        /// A pseudo-header field of HTTP/2 that is undefined, repeated, missing, invalid, or behind a field that is not
        /// one.
        PseudoHeader => "pseudo-header",
        /// A field.
        Field => "field",
        /// The header block of HTTP/2, which HPACK could not decode to its end.
        HeaderBlock => "header-block",
        /// The start line, which is longer than the limits allow.
        TooLarge => "too-large",
        /// The end: the head was answered before it was complete.
        Unfinished => "unfinished",
    }
}

/// Returns a method token. The common ones are not copied.
pub(crate) fn method(token: &str) -> Cow<'static, str> {
    common_method(token.as_bytes()).map_or_else(|| token.to_owned().into(), Cow::Borrowed)
}

/// Returns a common method.
pub(crate) fn common_method(token: &[u8]) -> Option<&'static str> {
    Some(match token {
        b"GET" => "GET",
        b"POST" => "POST",
        b"HEAD" => "HEAD",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"OPTIONS" => "OPTIONS",
        b"PATCH" => "PATCH",
        b"CONNECT" => "CONNECT",
        _ => return None,
    })
}

/// Returns a scheme in lower case. The common ones are not copied.
pub(crate) fn scheme(scheme: &str) -> Cow<'static, str> {
    common_scheme(scheme.as_bytes()).map_or_else(|| scheme.to_ascii_lowercase().into(), Cow::Borrowed)
}

/// Returns a common scheme.
pub(crate) fn common_scheme(scheme: &[u8]) -> Option<&'static str> {
    Some(match scheme {
        b"https" => "https",
        b"http" => "http",
        _ => return None,
    })
}
