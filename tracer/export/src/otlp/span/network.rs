//! Addresses of connections as attributes.

use tracer_observe::redact::ConnectionLine;

use crate::otlp::attributes::Attributes;

/// An end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint<'a> {
    /// An IP address, or the path or name of a UNIX socket.
    pub(crate) address: &'a str,
    pub(crate) port: Option<u16>,
}

impl<'a> Endpoint<'a> {
    /// Parses an address as lines have it; `None` for a UNIX socket that is bound to nothing.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then_some(Self {
                address: path,
                port: None,
            });
        }
        let (address, port) = text.rsplit_once(':')?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            address,
            port: Some(port.parse().ok()?),
        })
    }
}

/// Returns the peer of the traced process.
pub(crate) fn peer<'a>(connection: &'a ConnectionLine<'_>) -> Option<Endpoint<'a>> {
    Endpoint::parse(connection.remote.as_deref()?)
}

/// Adds what is known of a connection.
pub(crate) fn add(attributes: &mut Attributes, connection: &ConnectionLine<'_>, protocol: &str) {
    if let Some(Endpoint { address, port }) = peer(connection) {
        attributes.text("network.peer.address", address);
        attributes.number_if_any("network.peer.port", port);
    }
    if let Some(Endpoint { address, port }) = connection.local.as_deref().and_then(Endpoint::parse) {
        attributes.text("network.local.address", address);
        attributes.number_if_any("network.local.port", port);
    }
    let is_unix = [&connection.local, &connection.remote]
        .into_iter()
        .flatten()
        .any(|address| address.starts_with("unix:"));
    if is_unix {
        attributes.text("network.transport", "unix");
    }
    attributes.text_if_any("network.protocol.version", protocol.strip_prefix("http/"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (text, address, port) in [
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]:443", "::1", Some(443)),
            ("unix:/x.sock", "/x.sock", None),
            ("unix:@name", "@name", None),
        ] {
            assert_eq!(Endpoint::parse(text), Some(Endpoint { address, port }), "{text}");
        }
        for text in ["", "unix:", "127.0.0.1", "127.0.0.1:x"] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
