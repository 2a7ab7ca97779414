//! The queue of outputs that wait to be polled, and what each costs in memory.
//!
//! The queue takes every output. Its owner compares [`held_bytes`](OutputQueue::held_bytes) with the limit and pauses
//! decoding.

use std::collections::VecDeque;

use crate::limits::EXCHANGE_BYTES;
use crate::{Counters, Ended, Exchange, Output, ResponseHead, Unredacted};

/// The queue of outputs.
#[derive(Debug, Default)]
pub(crate) struct OutputQueue {
    outputs: VecDeque<(Output, usize)>,
    bytes: usize,
}

impl OutputQueue {
    /// Queues an output.
    pub(crate) fn push(&mut self, output: Output) {
        let cost = output_bytes(&output);
        self.bytes += cost;
        self.outputs.push_back((output, cost));
    }

    /// Queues and counts an exchange that has ended as `ended` says, or goes on if that is `None`.
    pub(crate) fn push_exchange(&mut self, mut exchange: Box<Exchange>, ended: Option<Ended>, counters: &mut Counters) {
        exchange.ended = ended;
        counters.exchanges += 1;
        counters.halves += u64::from(exchange.request.is_none() || exchange.response.is_none());
        self.push(Output::Exchange(exchange));
    }

    /// Removes the oldest output.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        let (output, cost) = self.outputs.pop_front()?;
        self.bytes -= cost;
        Some(output)
    }

    /// Returns the memory in use, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }
}

/// Returns the memory of an exchange, in bytes.
pub(crate) fn exchange_bytes(exchange: &Exchange) -> usize {
    let request = exchange.request.as_ref().map_or(0, |request| {
        let head = &request.head;
        let target = [&head.target_authority, &head.path]
            .into_iter()
            .flatten()
            .map(Unredacted::len)
            .sum::<usize>();
        target
            + text(head.method.as_deref())
            + text(head.scheme.as_deref())
            + head.fields.held_bytes()
            + request.trailers.held_bytes()
    });
    let response = exchange.response.as_ref().map_or(0, |response| {
        response.head.fields.held_bytes() + response.trailers.held_bytes()
    });
    let informational = exchange.informational.iter().map(response_head_bytes).sum::<usize>();
    EXCHANGE_BYTES + request + response + informational
}

/// Returns the memory of a response head, in bytes.
pub(crate) fn response_head_bytes(head: &ResponseHead) -> usize {
    size_of::<ResponseHead>() + head.fields.held_bytes()
}

fn output_bytes(output: &Output) -> usize {
    size_of::<(Output, usize)>()
        + match output {
            Output::Exchange(exchange) => exchange_bytes(exchange),
            Output::End(end) => EXCHANGE_BYTES + end.trailers.held_bytes(),
            Output::Gap(_) | Output::Undecoded(..) => 0,
        }
}

fn text(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}
