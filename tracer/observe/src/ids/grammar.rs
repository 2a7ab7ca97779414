//! Where the id is in the headers that hold more than an id. A value out of grammar has none.

use std::ops::Range;

/// Finds the trace id and the parent id of `traceparent` (W3C Trace Context section 3.2.2): `VERSION-TRACE-PARENT-FLAGS`,
/// each in lower-case hexadecimal. Later versions may have more behind the flags.
pub(super) fn traceparent(value: &[u8]) -> Option<[Range<usize>; 2]> {
    let (version, rest) = value.split_at_checked(2)?;
    let (trace_id, parent_id, flags) = (3..35, 36..52, 53..55);
    let dashes = [2, 35, 52].iter().all(|at| value.get(*at) == Some(&b'-'));
    let parts = [&trace_id, &parent_id, &flags].map(|part| value.get(part.clone()));
    let is_hex = parts.iter().all(|part| part.is_some_and(is_lower_hex)) && is_lower_hex(version);
    let has_ids = [&trace_id, &parent_id]
        .iter()
        .all(|part| value.get((*part).clone()).is_some_and(|id| !is_zero(id)));
    let ends = match version {
        b"00" => rest.len() == 53,
        b"ff" => false,
        _ => value.get(55).is_none_or(|next| *next == b'-'),
    };
    (dashes && is_hex && has_ids && ends).then_some([trace_id, parent_id])
}

/// Finds the value of `Root` in `X-Amzn-Trace-Id`: `Root=1-TIME-ID;Parent=ID;Sampled=1`, in any order.
pub(super) fn amazon_root(value: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for pair in value.split(|byte| *byte == b';') {
        let spaces = pair.len() - pair.trim_ascii_start().len();
        if let Some(root) = pair.trim_ascii().strip_prefix(b"Root=") {
            let at = start + spaces + b"Root=".len();
            return (!root.is_empty()).then_some(at..at + root.len());
        }
        start += pair.len() + 1;
    }
    None
}

/// Finds the trace in `X-Cloud-Trace-Context`: `TRACE/SPAN;o=1`, of which only the trace, 32 hexadecimal digits, is needed.
pub(super) fn cloud_trace(value: &[u8]) -> Option<Range<usize>> {
    let length = value
        .iter()
        .position(|byte| matches!(byte, b'/' | b';'))
        .unwrap_or(value.len());
    let trace = value.get(..length)?;
    let is_trace = length == 32 && trace.iter().all(u8::is_ascii_hexdigit) && !is_zero(trace);
    is_trace.then_some(0..length)
}

/// Finds the trace id in the single header of B3: `TRACE-SPAN`, `TRACE-SPAN-SAMPLED` or `TRACE-SPAN-SAMPLED-PARENT`; a
/// value that is a sampling decision alone has none.
pub(super) fn b3(value: &[u8]) -> Option<Range<usize>> {
    let length = value.iter().position(|byte| *byte == b'-')?;
    let span = value.get(length + 1..length + 17)?;
    let ends = value.get(length + 17).is_none_or(|next| *next == b'-');
    (is_lower_hex(span) && ends)
        .then(|| value.get(..length).and_then(b3_trace_id))
        .flatten()
}

/// Returns where the trace id is if a value is one of B3: 16 or 32 digits in lower-case hexadecimal.
pub(super) fn b3_trace_id(value: &[u8]) -> Option<Range<usize>> {
    let is_id = matches!(value.len(), 16 | 32) && is_lower_hex(value) && !is_zero(value);
    is_id.then_some(0..value.len())
}

fn is_lower_hex(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_zero(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'0')
}
