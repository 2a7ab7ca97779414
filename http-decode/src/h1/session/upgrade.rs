//! Switching protocols: from HTTP/1 to a tunnel or to HTTP/2.
//!
//! A server may switch only to a protocol that the request offered (RFC 9110 section 7.8). Clients ignore an unsolicited 101
//! (section 15.2), and so does this decoder: the next bytes are the next response.

use super::{Outcome, Session};
use crate::context::Context;
use crate::h1::head::ParsedHead;
use crate::progress::{Ending, Progress};
use crate::{Ended, Fields, RequestHead, ResponseHead, Timestamp};

/// The protocols that a request offered to switch to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offered {
    /// Unknown: the request, or a part of its head, was not seen.
    Unseen,
    /// None.
    Nothing,
    /// HTTP/2, possibly among others (RFC 7540 section 3.2).
    Http2,
    /// Others.
    Other,
}

impl Session {
    /// Returns what the request of the exchange in progress offered.
    pub(super) fn offered(&self) -> Offered {
        let request = match &self.progress {
            Some(Progress::Pending(exchange)) => exchange.request.as_ref(),
            Some(Progress::Emitted(..)) | None => None,
        };
        match request {
            Some(request) if request.head.unknown == 0 => offered_in(&request.head.fields),
            Some(_) | None => Offered::Unseen,
        }
    }

    /// Ends HTTP/1 with a response that switches to another protocol.
    pub(super) fn upgrade(&mut self, head: ResponseHead, at: Timestamp, context: &mut Context) {
        let named = head.status == Some(101) && protocols(&head.fields).any(is_h2c);
        let to_http2 = named && matches!(self.offered(), Offered::Http2 | Offered::Unseen);
        self.outcome = match self.progress.take() {
            Some(mut progress) if to_http2 => {
                progress.add_informational(head, context);
                progress.into_exchange().map(Outcome::Http2)
            }
            Some(mut progress) => {
                progress.set_response(head, Some(0), at);
                progress.end(Ending::seen(Ended::Upgraded, at, Fields::default()), context);
                Some(Outcome::Opaque)
            }
            None => Some(Outcome::Opaque),
        };
        // The connection goes on, and whether these are answered cannot be seen.
        self.emit_pending(Some(Ended::Lost), context);
        self.tunnel = None;
    }

    /// Lets decoding continue behind a request that did not make a tunnel.
    pub(super) fn rule_out_tunnel(&mut self) {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        if let Some(ordinal) = self.tunnel
            && awaited != Some(ordinal)
            && !self.pairing.contains(ordinal)
        {
            self.tunnel = None;
        }
    }
}

/// Returns whether the bytes behind a request may not be HTTP: CONNECT, or an offer to upgrade (RFC 9110 section 7.8).
pub(super) fn may_tunnel(request: &ParsedHead<RequestHead>) -> bool {
    request.head.fields.contains("upgrade") || request.head.method.as_deref() == Some("CONNECT")
}

fn offered_in(fields: &Fields) -> Offered {
    if protocols(fields).any(is_h2c) {
        Offered::Http2
    } else if protocols(fields).next().is_some() {
        Offered::Other
    } else {
        Offered::Nothing
    }
}

/// Iterates over the protocols in Upgrade.
fn protocols(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    fields
        .values("upgrade")
        .flat_map(|value| value.expose().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| !protocol.is_empty())
}

fn is_h2c(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"h2c")
}
