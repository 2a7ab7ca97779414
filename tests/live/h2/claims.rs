//! Assertions about exchanges over HTTP/2.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;
use support::{Exchange, Trace};

/// A field that was sent: name and value.
pub(crate) type Sent = (String, String);

/// Asserts the protocol, that clients opened the streams, and that all fields are known.
pub(crate) fn assert_http2(exchanges: &[Exchange]) {
    for exchange in exchanges {
        assert_eq!(exchange.text("/protocol"), Some("http/2"), "{exchange:?}");
        assert_eq!(
            exchange.number("/stream").map(|stream| stream % 2),
            Some(1),
            "{exchange:?}"
        );
        assert_eq!(exchange.text("/request/scheme"), Some("https"), "{exchange:?}");
        assert_known(exchange);
    }
    let streams: BTreeSet<_> = exchanges
        .iter()
        .map(|exchange| {
            (
                exchange.text("/side"),
                exchange.text("/connection/id"),
                exchange.number("/stream"),
            )
        })
        .collect();
    assert_eq!(streams.len(), exchanges.len(), "a stream carries one exchange");
}

/// Asserts that every field of both heads is known.
pub(crate) fn assert_known(exchange: &Exchange) {
    for half in ["/request", "/response"] {
        let complete = exchange.0.pointer(&format!("{half}/complete")).and_then(Value::as_bool);
        assert_eq!(complete, Some(true), "{exchange:?}");
        assert_eq!(unknown(exchange, half), 0, "{exchange:?}");
    }
}

/// Returns the number of unknown fields of a head. Asserts that a complete head has none.
pub(crate) fn unknown(exchange: &Exchange, half: &str) -> u64 {
    let unknown = exchange.number(&format!("{half}/unknown")).unwrap_or(0);
    let complete = exchange.0.pointer(&format!("{half}/complete")).and_then(Value::as_bool);
    assert!(complete != Some(true) || unknown == 0, "{exchange:?}");
    unknown
}

/// Asserts that each field of a head was sent. Unknown parts and masked values match any.
pub(crate) fn assert_only_sent(exchange: &Exchange, half: &str, sent: &[Sent]) {
    for (name, value) in exchange.fields(&format!("{half}/headers")) {
        let masked = value.is_some_and(|value| value.contains("[redacted]"));
        let fits = |(sent_name, sent_value): &Sent| {
            name.is_none_or(|name| name == sent_name) && (masked || value.is_none_or(|value| value == sent_value))
        };
        assert!(
            sent.iter().any(fits),
            "{name:?}: {value:?} was not sent, in {exchange:?}"
        );
    }
}

/// Makes owned fields.
pub(crate) fn fields(pairs: &[(&str, &str)]) -> Vec<Sent> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Asserts that tlscope reported no loss and no decoding problem.
pub(crate) fn assert_no_complaint(trace: &Trace) -> Result<()> {
    let complaints = ["not decoded", "undecoded", "malformed", "not HTTP", "lost"];
    let closing = "tlscope: exchanges=";
    for line in trace.stderr.iter().filter(|line| !line.starts_with(closing)) {
        assert!(!complaints.iter().any(|word| line.contains(word)), "{line}");
    }
    assert_eq!(trace.lines_of("loss")?.len(), 0);
    Ok(())
}

/// Asserts that a head is incomplete if and only if it has unknown fields. Returns their number.
pub(crate) fn assert_marked(exchange: &Exchange, half: &str) -> u64 {
    let nulls = exchange.fields(&format!("{half}/headers"));
    let nulls = nulls
        .iter()
        .filter(|(name, value)| name.is_none() || value.is_none())
        .count();
    let unknown = unknown(exchange, half);
    let complete = exchange.0.pointer(&format!("{half}/complete")).and_then(Value::as_bool);
    assert_eq!(complete, Some(unknown == 0), "{exchange:?}");
    assert!(u64::try_from(nulls).is_ok_and(|nulls| nulls <= unknown), "{exchange:?}");
    unknown
}
