//! Exchanges that wait for their end, because what is written of them cannot be changed later.
//!
//! Their memory is bounded. At the bound, the one that has waited longest is written as it is.

use std::collections::{BTreeMap, HashMap};

use crate::redact::{
    EndLine, EndResponseLine, ExchangeLine, FieldLine, Printable, RequestLine, ResponseLine, owned_fields,
};

/// The exchanges that wait.
pub(super) struct Waiting {
    /// Lines with their sizes, in the order in which they were added.
    lines: BTreeMap<u64, (ExchangeLine<'static>, usize)>,
    /// Keys of `lines` by the id of the exchange.
    keys: HashMap<String, u64>,
    next_key: u64,
    bytes: usize,
    bound: usize,
}

impl Waiting {
    /// Creates an empty store of at most `bound` bytes of lines.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            lines: BTreeMap::new(),
            keys: HashMap::new(),
            next_key: 0,
            bytes: 0,
            bound,
        }
    }

    /// Adds an exchange that has not ended.
    pub(super) fn add(&mut self, line: ExchangeLine<'static>) {
        let bytes = size(&line);
        self.bytes += bytes;
        self.keys.insert(line.id.clone(), self.next_key);
        self.lines.insert(self.next_key, (line, bytes));
        self.next_key += 1;
    }

    /// Removes and returns the exchange that has waited longest, if the bound is exceeded.
    pub(super) fn take_over_bound(&mut self) -> Option<ExchangeLine<'static>> {
        (self.bytes > self.bound).then(|| self.take_first())?
    }

    /// Removes an exchange and returns it with its end; `None` if it does not wait, because it was written before or was not
    /// selected.
    pub(super) fn end(&mut self, end: &EndLine<'_>) -> Option<ExchangeLine<'static>> {
        let EndLine {
            id,
            response,
            first_byte_us,
            first_event_us,
            duration_us,
            ended,
            grpc_status,
            grpc_message,
            encoding,
        } = end;
        let key = self.keys.remove(id)?;
        let (mut line, bytes) = self.lines.remove(&key)?;
        self.bytes -= bytes;
        line.first_byte_us = line.first_byte_us.or(*first_byte_us);
        line.first_event_us = line.first_event_us.or(*first_event_us);
        line.duration_us = Some(*duration_us);
        line.ended = Some(ended);
        line.encoding = line.encoding.or(*encoding);
        if grpc_status.is_some() {
            line.grpc_status = *grpc_status;
            line.grpc_message = grpc_message.as_ref().map(Printable::to_static);
        }
        if let (Some(EndResponseLine { body_bytes, trailers }), Some(seen)) = (response, &mut line.response) {
            seen.body_bytes = body_bytes.or(seen.body_bytes);
            seen.trailers = owned_fields(trailers);
        }
        Some(line)
    }

    /// Removes and returns all exchanges, in the order in which they were added.
    pub(super) fn take_all(&mut self) -> Vec<ExchangeLine<'static>> {
        std::iter::from_fn(|| self.take_first()).collect()
    }

    fn take_first(&mut self) -> Option<ExchangeLine<'static>> {
        let (_, (line, bytes)) = self.lines.pop_first()?;
        self.bytes -= bytes;
        self.keys.remove(&line.id);
        Some(line)
    }
}

/// Returns about how much memory a line takes, in bytes.
fn size(line: &ExchangeLine<'_>) -> usize {
    let fields = |fields: &[FieldLine<'_>]| -> usize {
        let each = |(name, value): &FieldLine<'_>| text(name.as_deref()) + text(value.as_deref()) + FIELD_BYTES;
        fields.iter().map(each).sum()
    };
    let request = |request: &RequestLine<'_>| {
        text(request.authority.as_deref())
            + text(request.path.as_deref())
            + fields(&request.headers)
            + fields(&request.trailers)
    };
    let response = |response: &ResponseLine<'_>| fields(&response.headers) + fields(&response.trailers);
    let informational: usize = line.informational.iter().map(|head| fields(&head.headers)).sum();
    LINE_BYTES + line.request.as_ref().map_or(0, request) + line.response.as_ref().map_or(0, response) + informational
}

fn text(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

/// Memory of a line without its heads, in bytes.
const LINE_BYTES: usize = 1024;

/// Memory of a field without its text, in bytes.
const FIELD_BYTES: usize = 64;
