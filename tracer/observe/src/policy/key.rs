//! What exchanges are counted by: whose they are.

use std::hash::{BuildHasher as _, RandomState};

use super::names::{NameTable, Seen};
use crate::{
    filter::host,
    redact::{ConnectionLine, ExchangeLine},
};

/// A property of an exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Property {
    /// The address of the peer, without its port.
    Client,
    /// The host that the request is for.
    Host,
    /// The path of the request, without its query.
    Path,
    /// The value of a field of the request, as it is printed.
    Field(usize),
    /// A credential in a field of the request, by its number among [`Facts::credentials`](crate::redact::Facts).
    Credential(usize),
}

/// What is needed to look at the fields of a request.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) table: &'a NameTable,
    pub(super) seen: &'a Seen,
}

impl Property {
    /// Returns the property of an exchange; `None` if it is unknown or absent.
    fn of<'l>(&self, exchange: &'l ExchangeLine<'_>, request: Request<'_>) -> Option<&'l str> {
        let head = exchange.request.as_ref();
        match self {
            Self::Client => client(&exchange.connection),
            Self::Host => Some(host(head?.authority.as_deref()?)),
            Self::Path => head?.path.as_deref()?.split('?').next(),
            Self::Field(number) => {
                let mut fields = request.seen.fields(request.table, *number, &head?.headers);
                fields.next()?.1.as_deref()
            }
            Self::Credential(number) => exchange.facts.as_ref()?.credentials.get(*number)?.as_deref(),
        }
    }
}

/// Returns the hash of properties of an exchange; `None` if one of them is unknown or absent.
pub(super) fn hash_of(
    properties: &[Property],
    exchange: &ExchangeLine<'_>,
    request: Request<'_>,
    state: &RandomState,
) -> Option<u64> {
    match properties {
        [one] => Some(state.hash_one(one.of(exchange, request)?)),
        several => {
            let values: Option<Vec<_>> = several.iter().map(|one| one.of(exchange, request)).collect();
            Some(state.hash_one(values?))
        }
    }
}

/// Returns properties of an exchange as a text.
pub(super) fn text_of(properties: &[Property], exchange: &ExchangeLine<'_>, request: Request<'_>) -> String {
    let values = properties.iter().map(|one| one.of(exchange, request).unwrap_or("?"));
    values.collect::<Vec<_>>().join(" ")
}

/// Returns the address of the peer, without its port: that of the client if a proxy names it in a header of the PROXY protocol,
/// else that of the socket.
fn client<'l>(connection: &'l ConnectionLine<'_>) -> Option<&'l str> {
    let address = match &connection.proxied {
        Some(proxied) => &*proxied.source,
        None => connection.remote.as_deref()?,
    };
    match address.rsplit_once(':') {
        Some((ip, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => Some(ip),
        Some(_) | None => None,
    }
}
