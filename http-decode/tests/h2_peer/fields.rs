//! Header and trailer fields that the peers send: names and values from a small pool, so that they are inserted into tables
//! and referred to, and random ones.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::random::Random;

#[derive(Clone)]
pub(crate) struct Field {
    name: String,
    value: Vec<u8>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, &self.name, &self.value)
    }
}

/// Returns whether a peer marks a value as never indexed.
pub(crate) fn is_sensitive(value: &[u8]) -> bool {
    value.starts_with(b"secret")
}

/// Formats a field with at most the beginning of its value.
pub(crate) fn show(f: &mut fmt::Formatter<'_>, name: &str, value: &[u8]) -> fmt::Result {
    let shown = value.iter().take(40).copied().collect::<Vec<u8>>();
    write!(f, "{name}: {} bytes, {}", value.len(), shown.escape_ascii())
}

pub(crate) fn header_map(fields: &[Field]) -> HeaderMap {
    let fields = fields.iter().map(|Field { name, value }| {
        let mut value = HeaderValue::from_bytes(value).expect("values are valid");
        value.set_sensitive(is_sensitive(value.as_bytes()));
        (HeaderName::from_bytes(name.as_bytes()).expect("names are valid"), value)
    });
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name, value);
    }
    map
}

/// Makes field lists, of which one in twenty is longer than a frame.
pub(crate) fn fields() -> impl Strategy<Value = Vec<Field>> {
    let large = vec(6000_usize..7000, 4..6).prop_map(|sizes| {
        let field = |size| Field {
            name: "x-large".to_owned(),
            value: Random::new(size as u64).letters(size),
        };
        sizes.into_iter().map(field).collect()
    });
    prop_oneof![19 => vec(field(), 0..9), 1 => large]
}

pub(crate) fn field() -> impl Strategy<Value = Field> {
    (name(), value()).prop_map(|(name, value)| Field { name, value })
}

fn name() -> impl Strategy<Value = String> {
    let common = [
        "accept",
        "accept-encoding",
        "authorization",
        "cache-control",
        "content-type",
        "cookie",
        "date",
        "etag",
        "set-cookie",
        "user-agent",
        "vary",
        "x-forwarded-for",
        "x-request-id",
    ];
    prop_oneof![3 => select(common.to_vec()).prop_map(str::to_owned), 1 => "x[a-z0-9-]{0,20}"]
}

/// Makes values that neither begin nor end with white space (RFC 9113 section 8.2.1).
fn value() -> impl Strategy<Value = Vec<u8>> {
    let common = [
        "",
        "*/*",
        "gzip, deflate",
        "no-cache",
        "secret-token",
        "text/html; charset=utf-8",
        "1",
    ];
    prop_oneof![
        3 => select(common.to_vec()).prop_map(Vec::from),
        2 => "[!-~]([ -~]{0,60}[!-~])?".prop_map(String::into_bytes),
        1 => "secret[!-~]{0,20}".prop_map(String::into_bytes),
        1 => vec(0x80_u8..=0xff, 1..20),
        1 => "[0-9a-f]{100,400}".prop_map(String::into_bytes),
    ]
}
