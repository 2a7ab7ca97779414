//! What exchanges are counted by: whose they are.

use std::hash::{BuildHasher as _, RandomState};

use super::names::{NameTable, Seen};
use crate::{
    filter::host,
    redact::{ConnectionLine, ExchangeLine, Printable},
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
    /// What properties are hashed with.
    pub(super) hasher: &'a RandomState,
    /// The hash of [`Property::Client`], which most rules that count ask for.
    pub(super) client: Option<u64>,
}

/// Returns the hash of the client of an exchange.
pub(super) fn client_hash(exchange: &ExchangeLine<'_>, hasher: &RandomState) -> Option<u64> {
    client(&exchange.connection).map(|client| hasher.hash_one(client))
}

impl Property {
    /// Returns the property of an exchange; `None` if it is unknown or absent.
    fn of<'l>(&self, exchange: &'l ExchangeLine<'_>, request: Request<'l>) -> Option<&'l [u8]> {
        let head = exchange.request.as_ref();
        match self {
            Self::Client => client(&exchange.connection),
            Self::Host => Some(host(head?.authority.as_deref()?).as_bytes()),
            Self::Path => head?.path.as_ref()?.bytes().split(|byte| *byte == b'?').next(),
            Self::Field(number) => {
                let mut fields = request.seen.fields(request.table, *number, &head?.headers);
                fields.next()?.1.as_ref().map(Printable::bytes)
            }
            Self::Credential(number) => exchange
                .facts
                .as_ref()?
                .credentials
                .get(*number)?
                .as_deref()
                .map(str::as_bytes),
        }
    }
}

/// Returns the hash of properties of an exchange; `None` if one of them is unknown or absent.
pub(super) fn hash_of(properties: &[Property], exchange: &ExchangeLine<'_>, request: Request<'_>) -> Option<u64> {
    match properties {
        [Property::Client] => request.client,
        [one] => Some(request.hasher.hash_one(one.of(exchange, request)?)),
        several => {
            let values: Option<Vec<_>> = several.iter().map(|one| one.of(exchange, request)).collect();
            Some(request.hasher.hash_one(values?))
        }
    }
}

/// Returns properties of an exchange as a text.
pub(super) fn text_of(properties: &[Property], exchange: &ExchangeLine<'_>, request: Request<'_>) -> String {
    let values = properties.iter().map(|one| one.of(exchange, request).unwrap_or(b"?"));
    let texts: Vec<_> = values.map(String::from_utf8_lossy).collect();
    texts.join(" ")
}

/// Returns the address of the peer, without its port: that of the client if a proxy names it in a header of the PROXY protocol,
/// else that of the socket.
fn client<'l>(connection: &'l ConnectionLine<'_>) -> Option<&'l [u8]> {
    let address = match &connection.proxied {
        Some(proxied) => proxied.source.as_bytes(),
        None => connection.remote.as_ref()?.bytes(),
    };
    let colon = address.iter().rposition(|byte| *byte == b':')?;
    let (ip, port) = address.split_at_checked(colon)?;
    // Of a UNIX socket, what follows the last colon is a path.
    let is_port = port.len() > 1 && port.iter().skip(1).all(u8::is_ascii_digit);
    is_port.then_some(ip)
}
