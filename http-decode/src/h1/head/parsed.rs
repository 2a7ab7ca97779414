//! A head as the parsers return it, with what the decoder needs to know of it.

use super::target::split_target;
use crate::{Fields, NeverIndexed, Protocol, RequestHead, Unredacted, head};

/// A head, and what the decoder needs to know to go on behind it.
#[derive(Debug)]
pub(crate) struct ParsedHead<T> {
    /// The head.
    pub(crate) head: T,
    /// Its version.
    pub(crate) protocol: Protocol,
    /// Whether fields were left out because there were too many.
    pub(crate) is_cut: bool,
    /// Whether every field that may frame the body is there.
    pub(crate) is_framed: bool,
}

/// A parsed request section.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// It is a head.
    Head(ParsedHead<RequestHead>),
    /// It is not; these parts of its first line are clear.
    Unparsable(RequestHead),
}

/// Makes a request head of its parts.
#[inline]
pub(super) fn head_of_request(method: &str, target: &[u8], fields: Fields) -> RequestHead {
    let target = split_target(method, target);
    RequestHead {
        method: Some(head::method(method)),
        scheme: Some(head::scheme(target.scheme.unwrap_or("https"))),
        target_authority: target.authority.map(Unredacted::new),
        path: target.path.map(Unredacted::new),
        protocol_upgrade: None,
        never_indexed: NeverIndexed::default(),
        fields,
        unknown: 0,
        malformed: None,
    }
}

/// Returns the protocol of a minor version.
pub(super) fn protocol(minor: Option<u8>) -> Protocol {
    if minor == Some(0) {
        Protocol::Http10
    } else {
        Protocol::Http11
    }
}
