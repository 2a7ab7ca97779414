//! What exchanges are counted by: whose they are.

use std::{
    cell::OnceCell,
    hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState},
};

use super::view::View;
use crate::{
    filter::host,
    limits::{MAX_POLICY_HASHED_BYTES, MAX_POLICY_HASHES},
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

/// An exchange that is counted.
pub(super) struct Counted<'a, 'l> {
    pub(super) exchange: &'a ExchangeLine<'l>,
    pub(super) request: &'a View<'a, 'l>,
    pub(super) hashes: &'a mut Hashes,
    /// The hash of [`Property::Client`], which most rules that count ask for, once it is known.
    pub(super) client: OnceCell<Option<u64>>,
}

/// Hashes properties by a key that nobody knows, so that nobody can choose two that are counted as one. The hashes of recent
/// ones are remembered, since most exchanges come from the clients of earlier ones.
#[derive(Debug)]
pub(super) struct Hashes {
    key: RandomState,
    recent: Vec<(Box<[u8]>, u64)>,
    /// The hashes of the clients of recent connections, by the address of the peer with its port.
    clients: Vec<(Box<[u8]>, Option<u64>)>,
}

impl Hashes {
    pub(super) fn new() -> Self {
        let key = RandomState::new();
        Self {
            recent: vec![(Box::default(), key.hash_one::<&[u8]>(&[])); MAX_POLICY_HASHES],
            clients: vec![(Box::default(), None); MAX_POLICY_HASHES],
            key,
        }
    }

    /// Returns the hash of [`Property::Client`].
    fn of_client(&mut self, connection: &ConnectionLine<'_>) -> Option<u64> {
        let peer = match &connection.proxied {
            Some(_) => None,
            None => connection.remote.as_ref().map(Printable::bytes),
        };
        let Some(peer) = peer.filter(|peer| peer.len() <= MAX_POLICY_HASHED_BYTES) else {
            return client(connection).map(|client| self.hash(client));
        };
        let place = place(peer);
        if let Some((known, hash)) = self.clients.get(place)
            && **known == *peer
        {
            return *hash;
        }
        let hash = client(connection).map(|client| self.hash(client));
        if let Some(known) = self.clients.get_mut(place) {
            *known = (peer.into(), hash);
        }
        hash
    }

    fn hash(&mut self, value: &[u8]) -> u64 {
        if value.len() > MAX_POLICY_HASHED_BYTES {
            return self.key.hash_one(value);
        }
        let Some((known, hash)) = self.recent.get_mut(place(value)) else {
            return self.key.hash_one(value);
        };
        if **known != *value {
            *hash = self.key.hash_one(value);
            *known = value.into();
        }
        *hash
    }
}

/// Returns the place of a value among those that are remembered.
fn place(value: &[u8]) -> usize {
    let word = value.last_chunk().map_or_else(
        || value.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        |last| u64::from_le_bytes(*last),
    );
    // Fibonacci hashing: the high bits of the product depend on all of the word.
    usize::try_from(word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).unwrap_or_default() % MAX_POLICY_HASHES
}

impl<'a> Counted<'a, '_> {
    /// Returns the hash of properties; `None` if one of them is unknown or absent.
    pub(super) fn hash_of(&mut self, properties: &[Property]) -> Option<u64> {
        match properties {
            [Property::Client] => {
                let Self {
                    exchange,
                    hashes,
                    client,
                    ..
                } = self;
                *client.get_or_init(|| hashes.of_client(&exchange.connection))
            }
            [one] => {
                let value = self.property(one)?;
                Some(self.hashes.hash(value))
            }
            several => {
                let mut hasher = self.hashes.key.build_hasher();
                for one in several {
                    self.property(one)?.hash(&mut hasher);
                }
                Some(hasher.finish())
            }
        }
    }

    /// Returns properties as a text.
    pub(super) fn text_of(&self, properties: &[Property]) -> String {
        let values = properties.iter().map(|one| self.property(one).unwrap_or(b"?"));
        let texts: Vec<_> = values.map(String::from_utf8_lossy).collect();
        texts.join(" ")
    }

    /// Returns a property; `None` if it is unknown or absent.
    fn property(&self, property: &Property) -> Option<&'a [u8]> {
        let exchange = self.exchange;
        let head = exchange.request.as_ref();
        match property {
            Property::Client => client(&exchange.connection),
            Property::Host => Some(host(head?.authority.as_deref()?).as_bytes()),
            Property::Path => head?.path.as_ref()?.bytes().split(|byte| *byte == b'?').next(),
            Property::Field(number) => {
                let View {
                    seen, index, fields, ..
                } = self.request;
                index.first(*number, seen, fields)?.1.as_ref().map(Printable::bytes)
            }
            Property::Credential(number) => {
                let credentials = &exchange.facts.as_ref()?.credentials;
                credentials.get(*number)?.as_deref().map(str::as_bytes)
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_hash_whether_it_is_remembered_or_not() {
        let mut hashes = Hashes::new();
        let values: Vec<_> = (0..10 * MAX_POLICY_HASHES)
            .map(|number| number.to_string().repeat(number % 30))
            .collect();
        for _ in 0..2 {
            for value in &values {
                let expected = hashes.key.hash_one(value.as_bytes());
                assert_eq!([0; 2].map(|_| hashes.hash(value.as_bytes())), [expected; 2], "{value}");
            }
        }
        assert_eq!(hashes.recent.len(), MAX_POLICY_HASHES);
        assert!(
            hashes
                .recent
                .iter()
                .all(|(value, _)| value.len() <= MAX_POLICY_HASHED_BYTES)
        );
    }
}
