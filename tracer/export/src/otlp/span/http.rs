//! What the conventions for HTTP say of an exchange.

use std::collections::BTreeMap;

use tracer_observe::redact::{ExchangeLine, FieldLine};

use super::{
    network,
    target::{Forwarded, RequestTarget, field, host_and_port},
};
use crate::otlp::{attributes::Attributes, options::Captured};

/// An exchange in the terms of the conventions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http<'a> {
    line: &'a ExchangeLine<'a>,
    pub(crate) method: Method<'a>,
    pub(crate) target: RequestTarget<'a>,
    forwarded: Forwarded<'a>,
}

/// A method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method<'a> {
    /// One that is known.
    Known(&'a str),
    /// Another one; `None` if the request line was not seen.
    Other(Option<&'a str>),
}

impl<'a> Method<'a> {
    fn of(method: Option<&'a str>, known: &[String]) -> Self {
        match method {
            Some(method) if known.iter().any(|known| known == method) => Method::Known(method),
            other => Method::Other(other),
        }
    }

    /// Returns the name of spans.
    pub(crate) const fn span_name(self) -> &'a str {
        match self {
            Method::Known(method) => method,
            Method::Other(_) => "HTTP",
        }
    }

    /// Returns the value of `http.request.method`.
    pub(crate) const fn name(self) -> &'a str {
        match self {
            Method::Known(method) => method,
            Method::Other(_) => "_OTHER",
        }
    }
}

impl<'a> Http<'a> {
    /// Reads an exchange.
    pub(crate) fn of(line: &'a ExchangeLine<'a>, methods: &[String]) -> Self {
        let request = line.request.as_ref();
        Self {
            line,
            method: Method::of(request.and_then(|request| request.method.as_deref()), methods),
            target: request.map(RequestTarget::of).unwrap_or_default(),
            forwarded: request
                .map(|request| Forwarded::of(&request.headers))
                .unwrap_or_default(),
        }
    }

    /// Adds the attributes of a span, but those of its end.
    pub(crate) fn add(&self, attributes: &mut Attributes) {
        attributes.text("http.request.method", self.method.name());
        if let Method::Other(method) = self.method {
            attributes.text_if_any("http.request.method_original", method);
        }
        let status = self.line.response.as_ref().and_then(|response| response.status);
        attributes.number_if_any("http.response.status_code", status);
        if let Some((address, port)) = self.server() {
            attributes.text("server.address", address);
            attributes.number_if_any("server.port", port);
        }
        let request = self.line.request.as_ref();
        attributes.number_if_any("http.request.body.size", request.and_then(|request| request.body_bytes));
        if self.line.side == "client" {
            attributes.text_if_any("url.full", self.target.url().as_deref());
        } else {
            self.add_server(attributes);
        }
    }

    fn add_server(&self, attributes: &mut Attributes) {
        attributes.text_if_any("url.scheme", self.scheme());
        attributes.text_if_any("url.path", self.target.path);
        attributes.text_if_any("url.query", self.target.query);
        let proxied = self.line.connection.proxied.as_ref();
        let proxied = proxied.and_then(|proxied| network::Endpoint::parse(&proxied.source));
        let peer = proxied.or_else(|| network::peer(&self.line.connection));
        let client = self.forwarded.client.or_else(|| peer.map(|peer| peer.address));
        attributes.text_if_any("client.address", client);
        attributes.text_if_any("user_agent.original", field(self.request_fields(), "user-agent"));
    }

    /// Returns the scheme: for a server, that of the client of the first proxy.
    pub(crate) fn scheme(&self) -> Option<&'a str> {
        let forwarded = self.forwarded.scheme.filter(|_| self.line.side != "client");
        forwarded.or(self.target.scheme)
    }

    /// Returns host and port of the server as its client names it.
    pub(crate) fn server(&self) -> Option<(&'a str, Option<u16>)> {
        if self.line.side == "client" {
            let peer = || network::peer(&self.line.connection).map(|peer| (peer.address, peer.port));
            return self.target.host_and_port().or_else(peer);
        }
        self.forwarded
            .host
            .and_then(host_and_port)
            .or_else(|| self.target.host_and_port())
    }

    /// Returns what the request has of the trace beside its ids.
    pub(crate) fn trace_state(&self) -> Option<&'a str> {
        self.line.trace_id.as_ref()?;
        field(self.request_fields(), "tracestate")
    }

    /// Adds the header fields that are wanted.
    pub(crate) fn add_fields(&self, attributes: &mut Attributes, captured: &Captured) {
        if *captured == Captured::None {
            return;
        }
        let response = self.line.response.as_ref();
        let response_fields = response.map_or(&[][..], |response| &response.headers);
        add_fields(attributes, "http.request.header", self.request_fields(), captured);
        add_fields(attributes, "http.response.header", response_fields, captured);
    }

    fn request_fields(&self) -> &'a [FieldLine<'a>] {
        let request = self.line.request.as_ref();
        request.map_or(&[][..], |request| &request.headers)
    }
}

/// Adds an attribute for each name of a field, with all values that are known.
fn add_fields(attributes: &mut Attributes, prefix: &str, fields: &[FieldLine<'_>], captured: &Captured) {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in fields {
        if let (Some(name), Some(value)) = (name.as_deref(), value.as_deref())
            && captured.has(name)
        {
            by_name.entry(name).or_default().push(value);
        }
    }
    for (name, values) in by_name {
        attributes.texts(format!("{prefix}.{name}"), &values);
    }
}
