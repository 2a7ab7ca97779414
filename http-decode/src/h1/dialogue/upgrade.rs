//! The end of HTTP/1 on a connection: a tunnel, or HTTP/2.
//!
//! A server may switch only to what the request offered (RFC 9110 section 7.8). A 101 that nobody asked for is ignored
//! by clients (section 15.2), and so it is here: what follows is read as what it would be without it.

use super::{Dialogue, Outcome};
use crate::context::Context;
use crate::h1::head::{Known, Versioned};
use crate::progress::{Ending, Progress};
use crate::{Ended, Fields, RequestHead, ResponseHead, Timestamp};

/// What a request offered to switch to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Offered {
    /// The request, or a part of its head, was not seen.
    Unseen,
    /// Nothing.
    Nothing,
    /// HTTP/2, perhaps beside other protocols (RFC 7540 section 3.2).
    Http2,
    /// Other protocols.
    Other,
}

impl Dialogue {
    /// Says what the request of the exchange in progress offered.
    pub(super) fn offered(&self) -> Offered {
        let request = match &self.progress {
            Some(Progress::Within(exchange)) => exchange.request.as_ref(),
            Some(Progress::Out(_)) | None => None,
        };
        match request {
            Some(request) if request.head.unknown == 0 => offered_in(&request.head.fields),
            Some(_) | None => Offered::Unseen,
        }
    }

    /// Ends HTTP/1 with a response that switches to something else.
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
        // The connection goes on, and whether these are answered is not read any more.
        self.put_out_pending(Some(Ended::Lost), context);
        self.tunnel = None;
    }

    /// Decoding behind a request that might have made a tunnel goes on once it is known not to.
    pub(super) fn leave_tunnel(&mut self) {
        let awaited = self.progress.as_ref().and_then(Progress::awaits_response);
        if let Some(ordinal) = self.tunnel
            && awaited != Some(ordinal)
            && !self.pairing.contains(ordinal)
        {
            self.tunnel = None;
        }
    }
}

/// Returns whether what follows a request may not be HTTP: CONNECT, or an offer to upgrade (RFC 9110 section 7.8).
pub(super) fn may_tunnel(request: &Versioned<RequestHead>) -> bool {
    request.has.any(Known::Upgrade) || request.head.method.as_deref() == Some("CONNECT")
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

/// Lists the protocols in Upgrade.
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
