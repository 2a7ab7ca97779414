//! The names of the headers that bear request ids, in the order in which they are looked for.

use std::{ops::Range, str::FromStr};

use super::{TRACEPARENT, grammar};

/// A header that bears the id of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdHeader {
    /// In lower case.
    name: String,
    form: Form,
}

/// Which part of the value is the id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// All of it.
    Whole,
    /// The root of `X-Amzn-Trace-Id`.
    Root,
    /// The trace of `X-Cloud-Trace-Context`.
    CloudTrace,
    /// The trace id of `traceparent`.
    Traceparent,
    /// The trace id of `b3`.
    B3,
    /// A trace id of B3 in a header of its own.
    B3TraceId,
}

/// The name of a header is not valid.
#[derive(Debug, thiserror::Error)]
#[error("not the name of a header")]
pub struct IdHeaderError;

impl FromStr for IdHeader {
    type Err = IdHeaderError;

    fn from_str(name: &str) -> Result<Self, IdHeaderError> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(IdHeaderError);
        }
        Ok(Self::new(name))
    }
}

impl IdHeader {
    fn new(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let form = match &*name {
            "x-amzn-trace-id" => Form::Root,
            "x-cloud-trace-context" => Form::CloudTrace,
            "traceparent" => Form::Traceparent,
            "b3" => Form::B3,
            "x-b3-traceid" => Form::B3TraceId,
            _ => Form::Whole,
        };
        Self { name, form }
    }

    /// Returns where the id is in a value, unless it has none.
    pub(super) fn part(&self, value: &[u8]) -> Option<Range<usize>> {
        match self.form {
            Form::Whole => (!value.is_empty()).then_some(0..value.len()),
            Form::Root => grammar::amazon_root(value),
            Form::CloudTrace => grammar::cloud_trace(value),
            Form::Traceparent => grammar::traceparent(value).map(|[trace_id, _]| trace_id),
            Form::B3 => grammar::b3(value),
            Form::B3TraceId => grammar::b3_trace_id(value),
        }
    }
}

/// The headers that may bear the id of a request, the first of them first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdHeaders {
    headers: Vec<IdHeader>,
    /// A bit for each length of a name that is looked for, so that most fields are passed over without a comparison.
    lengths: u64,
}

impl IdHeaders {
    /// Creates a list; if `headers` is empty, the usual one.
    pub fn new(headers: Vec<IdHeader>) -> Self {
        let headers = if headers.is_empty() {
            DEFAULT.map(IdHeader::new).to_vec()
        } else {
            headers
        };
        let names = headers.iter().map(|header| header.name.as_bytes());
        let lengths = names
            .chain([TRACEPARENT])
            .fold(0, |lengths, name| lengths | length_bit(name));
        Self { headers, lengths }
    }

    /// Returns whether a name may be one that is looked for.
    pub(super) fn may_have(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name) != 0
    }

    /// Returns the header of a name, which is in lower case, and its place in the list.
    pub(super) fn rank_of(&self, name: &[u8]) -> Option<(usize, &IdHeader)> {
        self.headers
            .iter()
            .enumerate()
            .find(|(_, header)| header.name.as_bytes() == name)
    }
}

impl Default for IdHeaders {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// The headers of the default list.
pub(super) const DEFAULT: [&str; 8] = [
    "x-request-id",
    "x-correlation-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "request-id",
    "traceparent",
    "b3",
    "x-b3-traceid",
];

/// Returns the bit of a name's length; names that are longer than 62 bytes share one.
fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// Returns whether a byte is part of a token (RFC 9110 section 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}
