//! What the rules of a policy ask of an exchange: what they find in fields as they are printed, and of values before they are
//! masked, how long they are, and which are equal.
//!
//! It is found inside the gate, and leaves it as numbers and keyed hashes.

use std::mem::take;

use http_decode::{Exchange, Fields, Request};

use super::{Facts, Head, HeadFacts, Names, Printable, Sizes, fingerprint::has_mask, values::Composer};
use crate::correlate::Connection;

impl Composer<'_> {
    /// Returns what is wanted of an exchange that was just printed; nothing if nothing is.
    pub(super) fn facts(&mut self, connection: &Connection, exchange: &Exchange) -> Option<Box<Facts>> {
        self.redactor.wanted_facts.fields.as_ref()?;
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        let of_request = self.head_facts(Head::Request, request.map(|request| &request.head.fields));
        Some(Box::new(Facts {
            credentials: self.credentials(request, of_request.seen.once),
            request: of_request,
            response: self.head_facts(Head::Response, response.map(|response| &response.head.fields)),
            server_name: self.other_server_name(connection, request),
        }))
    }

    fn head_facts(&mut self, head: Head, fields: Option<&Fields>) -> HeadFacts {
        let least = *head.of(&self.redactor.wanted_facts.sizes);
        // The sizes of most heads are within the bounds of all rules, and need not be known.
        let are_wanted = |fields: &&Fields| least.is_some_and(|least| fields.most_bytes() > least);
        HeadFacts {
            seen: take(head.of_mut(&mut self.redactor.seen)),
            sizes: fields.filter(are_wanted).map(sizes),
        }
    }

    /// Returns the server name that the client asked for in its handshake, if the request is for another host.
    fn other_server_name(&mut self, connection: &Connection, request: Option<&Request>) -> Option<Printable<'static>> {
        if !self.redactor.wanted_facts.server_name {
            return None;
        }
        let head = &request?.head;
        let name = connection.server_name.as_ref()?.expose();
        let [host, own] = [head.authority()?.expose(), name].map(host);
        // A tunnel is to another host.
        let is_tunnel = head.method.as_deref() == Some("CONNECT") && head.protocol_upgrade.is_none();
        if host.is_empty() || is_tunnel || host.eq_ignore_ascii_case(own) {
            return None;
        }
        Some(self.authority(name, false).to_static())
    }

    /// Returns the fingerprints of credentials; nothing if there are none. `seen` is the names of the request.
    fn credentials(&self, request: Option<&Request>, seen: Names) -> Vec<Option<String>> {
        let wanted = &self.redactor.wanted_facts.credentials;
        let Some(fields) = request.map(|request| &request.head.fields) else {
            return Vec::new();
        };
        let has_any = match self.redactor.credential_names {
            Some(names) => seen & names != 0,
            None => wanted.iter().any(|name| fields.contains(name)),
        };
        if !has_any {
            return Vec::new();
        }
        let credential = |name: &String| {
            let value = fields.get(name)?.value?.expose();
            let value = Some(value).filter(|value| !has_mask(value))?.trim_ascii();
            (!value.is_empty()).then(|| self.redactor.session(value)).flatten()
        };
        wanted.iter().map(credential).collect()
    }
}

/// Returns the host of an authority, without userinfo, port and the dot of the root.
fn host(authority: &[u8]) -> &[u8] {
    let mut host = authority;
    if let Some(at) = host.iter().rposition(|byte| *byte == b'@') {
        host = host.get(at + 1..).unwrap_or_default();
    }
    if let Some((name, port)) = host
        .iter()
        .rposition(|byte| *byte == b':')
        .and_then(|at| host.split_at_checked(at))
        && port.iter().skip(1).all(u8::is_ascii_digit)
    {
        host = name;
    }
    host.strip_suffix(b".").unwrap_or(host)
}

fn sizes(fields: &Fields) -> Sizes {
    let mut sizes = Sizes::default();
    for (at, field) in fields.raw().enumerate() {
        let name = field.name.map_or(0, <[u8]>::len) as u64;
        let value = field.value.map_or(0, |value| value.expose().len()) as u64;
        sizes.bytes = sizes.bytes.saturating_add(name).saturating_add(value);
        if value > sizes.longest {
            (sizes.longest, sizes.longest_at) = (value, at);
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_no_userinfo_port_or_last_dot() {
        for (authority, expected) in [
            ("a.test", "a.test"),
            ("a.test:8443", "a.test"),
            ("a.test.:8443", "a.test"),
            ("a.test.", "a.test"),
            ("a.test:", "a.test"),
            ("user:word@a.test:1", "a.test"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
            (":8443", ""),
            ("", ""),
        ] {
            assert_eq!(host(authority.as_bytes()), expected.as_bytes(), "{authority}");
        }
    }
}
