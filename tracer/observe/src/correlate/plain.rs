//! Connections that carry no TLS.

use std::borrow::Cow;

use http_decode::{Exchange, Protocol, RequestHead};

use super::{Connection, LibraryName};

/// Replaces the scheme that the decoder assumes where the head has none: it takes connections for TLS.
pub(super) fn set_scheme(connection: &Connection, exchange: &mut Exchange) {
    if connection.tls != LibraryName::NONE || exchange.protocol == Protocol::Http2 {
        return;
    }
    let head = exchange.request.as_mut().map(|request| &mut request.head);
    if let Some(head) = head.filter(|head| !has_scheme(head)) {
        head.scheme = Some(Cow::Borrowed("http"));
    }
}

/// Returns whether the scheme is in the request target (RFC 9112 section 3.2): where that has an authority, unless it has
/// nothing else, as that of CONNECT.
fn has_scheme(head: &RequestHead) -> bool {
    head.target_authority.is_some() && head.method.as_deref() != Some("CONNECT")
}
