//! The ids of traces and spans.
//!
//! They are made of the id and the time of an exchange, so that a replay gives the same, and another run does not: the ids of
//! exchanges are unique only within one.

use sha2::{Digest as _, Sha256};
use tracer_observe::redact::ExchangeLine;

/// The id of a trace.
pub(super) type TraceId = [u8; 16];

/// The id of a span.
pub(super) type SpanId = [u8; 8];

/// The ids of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ids {
    /// That of its trace, if no other is known.
    pub(super) trace: TraceId,
    /// That of its span.
    pub(super) span: SpanId,
}

impl Ids {
    /// Returns the ids of an exchange.
    pub(super) fn of(line: &ExchangeLine<'_>) -> Self {
        let mut hash = Sha256::new();
        hash.update(line.time.as_str());
        hash.update(line.id.as_bytes());
        let digest = hash.finalize();
        let (trace, rest) = digest
            .split_first_chunk()
            .map_or(([0; 16], &[][..]), |(trace, rest)| (*trace, rest));
        let span = rest.first_chunk().copied().unwrap_or_default();
        // All zeros would be no id. No digest begins so.
        Self { trace, span }
    }
}

/// Returns the trace id of the `traceparent` of an exchange.
pub(super) fn trace_id(line: &ExchangeLine<'_>) -> Option<TraceId> {
    hex(line.trace_id.as_deref()?)
}

/// Returns the id of the span from which the request of an exchange came, by its `traceparent`.
pub(super) fn parent_id(line: &ExchangeLine<'_>) -> Option<SpanId> {
    hex(line.parent_id.as_deref()?)
}

/// Parses hexadecimal digits, as many as there is room for and not all of them zeros.
fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    if pairs.len() != N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair = str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    (bytes != [0; N]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_hexadecimal_and_not_zero() {
        assert_eq!(hex("00ff10Ab"), Some([0, 255, 16, 171]));
        for digits in ["", "00", "00000000", "00ff10a", "00ff10abcd", "+0ff10ab", "[redacted]"] {
            assert_eq!(hex::<4>(digits), None, "{digits}");
        }
    }
}
