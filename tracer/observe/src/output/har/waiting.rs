//! Exchanges that go on, until their ends come.
//!
//! In: exchanges without an end, and ends. Out: exchanges with their end. Refuses more than a bound: the one that waits
//! longest goes first.

use std::collections::{BTreeMap, HashMap};

use crate::redact::{EndLine, EndResponseLine, ExchangeLine, FieldLine, RequestLine, ResponseLine};

/// Exchanges that wait, in the order in which they came.
pub(super) struct Waiting {
    lines: BTreeMap<u64, (ExchangeLine, usize)>,
    places: HashMap<String, u64>,
    came: u64,
    bytes: usize,
    bound: usize,
}

/// Whether an end was waited for.
pub(super) enum Waited {
    /// The exchange as it ended.
    Ended(Box<ExchangeLine>),
    /// Its exchange is not here: it was written before, or left out.
    Not,
}

impl Waiting {
    /// Waits with at most so many bytes of lines.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            lines: BTreeMap::new(),
            places: HashMap::new(),
            came: 0,
            bytes: 0,
            bound,
        }
    }

    /// Takes an exchange that goes on.
    pub(super) fn add(&mut self, line: ExchangeLine) {
        let bytes = size(&line);
        self.bytes += bytes;
        self.places.insert(line.id.clone(), self.came);
        self.lines.insert(self.came, (line, bytes));
        self.came += 1;
    }

    /// Gives the exchange that waits longest, if they are too many.
    pub(super) fn take_over_bound(&mut self) -> Option<ExchangeLine> {
        (self.bytes > self.bound).then(|| self.take_first())?
    }

    /// Ends an exchange.
    pub(super) fn end(&mut self, end: &EndLine) -> Waited {
        let EndLine {
            id,
            response,
            duration_us,
            ended,
            grpc,
            encoding,
        } = end;
        let place = self.places.remove(id);
        let Some((mut line, bytes)) = place.and_then(|place| self.lines.remove(&place)) else {
            return Waited::Not;
        };
        self.bytes -= bytes;
        line.duration_us = Some(*duration_us);
        line.ended = Some(ended);
        line.encoding = line.encoding.or(*encoding);
        if grpc.grpc_status.is_some() {
            line.grpc.grpc_status = grpc.grpc_status;
            line.grpc.grpc_message.clone_from(&grpc.grpc_message);
        }
        if let (Some(EndResponseLine { body_bytes, trailers }), Some(seen)) = (response, &mut line.response) {
            seen.body_bytes = body_bytes.or(seen.body_bytes);
            seen.trailers.clone_from(trailers);
        }
        Waited::Ended(Box::new(line))
    }

    /// Gives all, in the order in which they came.
    pub(super) fn take_all(&mut self) -> Vec<ExchangeLine> {
        std::iter::from_fn(|| self.take_first()).collect()
    }

    fn take_first(&mut self) -> Option<ExchangeLine> {
        let (_, (line, bytes)) = self.lines.pop_first()?;
        self.bytes -= bytes;
        self.places.remove(&line.id);
        Some(line)
    }
}

/// Roughly what a line takes: the struct itself, and the text of its heads.
fn size(line: &ExchangeLine) -> usize {
    let fields = |fields: &[FieldLine]| -> usize {
        let each = |(name, value): &FieldLine| text(name.as_deref()) + text(value.as_deref()) + FIELD_BYTES;
        fields.iter().map(each).sum()
    };
    let request = |request: &RequestLine| {
        text(request.authority.as_deref())
            + text(request.path.as_deref())
            + fields(&request.headers)
            + fields(&request.trailers)
    };
    let response = |response: &ResponseLine| fields(&response.headers) + fields(&response.trailers);
    let informational: usize = line.informational.iter().map(|head| fields(&head.headers)).sum();
    LINE_BYTES + line.request.as_ref().map_or(0, request) + line.response.as_ref().map_or(0, response) + informational
}

fn text(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

/// What a line takes without its heads.
const LINE_BYTES: usize = 1024;

/// What a field takes beside its text.
const FIELD_BYTES: usize = 64;
