//! Selects the rule for each field.
//!
//! A value is masked as a whole if the name of its field is unknown, or if its sender declared it never to be indexed
//! (RFC 7541 section 7.1.3) and the field has no rule of its own for secrets.

use super::{
    cookie, credentials,
    members::Text,
    names,
    secrets::Secrets,
    url::{self, Search},
};

/// The kind of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Credentials,
    Challenge,
    Cookie,
    SetCookie,
    Subprotocols,
    Authority,
    Whole,
    /// Not secret, but may contain secrets, as in a URL.
    Open,
}

/// The rule for the values of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rule {
    kind: Kind,
    /// Whether the user named the field.
    named: bool,
}

impl Rule {
    /// Returns the rule for a name; `None` is one that is unknown or masked.
    pub(super) fn of(name: Option<&str>, search: Search<'_>) -> Self {
        let kind = if search.built_in {
            name.map_or(Kind::Whole, kind_in_any_case)
        } else {
            Kind::Open
        };
        let named = name.is_some_and(|name| search.extra.names(name.as_bytes()));
        Self { kind, named }
    }

    /// Returns whether the values are not secrets by themselves, and may only contain some.
    pub(super) const fn is_open(self) -> bool {
        match self.kind {
            Kind::Open | Kind::Authority => !self.named,
            Kind::Credentials | Kind::Challenge | Kind::Cookie | Kind::SetCookie | Kind::Subprotocols | Kind::Whole => {
                false
            }
        }
    }
}

/// Marks the secrets in the value of a field.
pub(super) fn mark(rule: Rule, value: &[u8], never_indexed: bool, search: Search<'_>, secrets: &mut Secrets) {
    let Rule { kind, named } = rule;
    if named {
        secrets.mark(0..value.len());
    }
    match kind {
        Kind::Credentials => credentials::mark_credentials(value, secrets),
        Kind::Cookie => cookie::mark_cookie(value, secrets),
        Kind::SetCookie => cookie::mark_set_cookie(value, search, secrets),
        _ if never_indexed && search.built_in => secrets.mark(0..value.len()),
        Kind::Challenge => {
            credentials::mark_challenge(value, secrets);
            // A harmless parameter such as the realm may be a URL.
            search.mark(value, Text::Value, secrets);
        }
        Kind::Subprotocols => credentials::mark_subprotocols(value, secrets),
        Kind::Authority => mark_authority(value, search, secrets),
        Kind::Whole => secrets.mark(0..value.len()),
        Kind::Open => search.mark(value, Text::Value, secrets),
    }
}

/// Marks a value as a whole if its sender declared it never to be indexed.
pub(super) fn mark_never_indexed(value: &[u8], never_indexed: bool, search: Search<'_>, secrets: &mut Secrets) {
    if never_indexed && search.built_in {
        secrets.mark(0..value.len());
    }
}

/// Marks the secrets in an authority.
pub(super) fn mark_authority(value: &[u8], search: Search<'_>, secrets: &mut Secrets) {
    if search.built_in {
        url::mark_authority(value, secrets);
    }
    search.mark(value, Text::Value, secrets);
}

/// Returns the kind of a name. Decoders convert names to lower case; one that is not must not leak its value.
fn kind_in_any_case(name: &str) -> Kind {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return kind_of(&name.to_ascii_lowercase());
    }
    kind_of(name)
}

fn kind_of(name: &str) -> Kind {
    match name {
        "authorization" | "proxy-authorization" => Kind::Credentials,
        "www-authenticate" | "proxy-authenticate" => Kind::Challenge,
        "cookie" => Kind::Cookie,
        "set-cookie" => Kind::SetCookie,
        "sec-websocket-protocol" => Kind::Subprotocols,
        "host" | "x-forwarded-host" | "x-original-host" | "x-forwarded-server" | "x-host" => Kind::Authority,
        _ if is_other_authorization(name) => Kind::Credentials,
        _ if names::is_secret(name.as_bytes()) => Kind::Whole,
        _ => Kind::Open,
    }
}

/// Returns whether a gateway forwards Authorization under this name, as in `x-forwarded-authorization`.
fn is_other_authorization(name: &str) -> bool {
    name.ends_with("-authorization")
}
