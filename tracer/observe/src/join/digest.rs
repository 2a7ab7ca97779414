//! Digests of ids and targets, so that what is kept of an open request is small.

use http_decode::{Exchange, RequestHead};
use sha2::{Digest as _, Sha256};

use crate::ids::{Id, IdHeaders};

/// The first bytes of SHA-256: nobody can find two ids with the same ones.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Digest([u8; 16]);

impl Digest {
    fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        Self(digest.first_chunk().copied().unwrap_or_default())
    }
}

/// The ids of an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digests {
    /// The request ids of the request and of the response.
    request_ids: [Option<Digest>; 2],
    /// Whether that of the response is nowhere in the request, all of which is known, so that it was made for this exchange.
    is_made: bool,
    trace_id: Option<Digest>,
}

impl Digests {
    /// Finds the ids of a request.
    pub(super) fn of_request(headers: &IdHeaders, head: &RequestHead) -> Self {
        let [request_id, trace_id] = headers.find_in(&head.fields).map(|id| id.as_ref().map(digest_of));
        Self {
            request_ids: [request_id, None],
            is_made: false,
            trace_id,
        }
    }

    /// Finds the ids of an exchange.
    pub(super) fn of(headers: &IdHeaders, exchange: &Exchange) -> Self {
        let asked = exchange
            .request
            .as_ref()
            .map(|request| Self::of_request(headers, &request.head));
        let mut digests = asked.unwrap_or_default();
        if let Some(response) = &exchange.response {
            let [request_id, _] = headers.find_in(&response.head.fields);
            let [_, answered] = &mut digests.request_ids;
            *answered = request_id.as_ref().map(digest_of);
            digests.is_made = match (&exchange.request, &request_id) {
                (Some(request), Some(id)) => !may_bring(&request.head, id),
                (None, _) | (_, None) => false,
            };
        }
        digests
    }

    /// Returns whether there is a request id.
    pub(super) fn has_request_id(&self) -> bool {
        self.request_ids.iter().any(Option::is_some)
    }

    /// Returns the request ids, each once.
    pub(super) fn request_ids(&self) -> impl Iterator<Item = Digest> {
        let [asked, answered] = self.request_ids;
        asked.into_iter().chain(answered.filter(|_| answered != asked))
    }

    /// Returns whether both have the same request id.
    pub(super) fn same_request_id(&self, other: &Self) -> bool {
        self.request_ids
            .iter()
            .flatten()
            .any(|id| other.request_ids.contains(&Some(*id)))
    }

    /// Returns whether both have the request id of the response of `self`, which its client did not bring.
    pub(super) fn same_made_id(&self, other: &Self) -> bool {
        let [_, answered] = self.request_ids;
        self.is_made && answered.is_some() && other.request_ids.contains(&answered)
    }

    /// Makes those of a request with a request id.
    #[cfg(test)]
    pub(super) fn of_text(id: &str) -> Self {
        Self {
            request_ids: [Some(Digest::of(&[id.as_bytes()])), None],
            is_made: false,
            trace_id: None,
        }
    }

    /// Returns whether both have the same trace id.
    pub(super) fn same_trace_id(&self, other: &Self) -> bool {
        self.trace_id.is_some() && self.trace_id == other.trace_id
    }
}

fn digest_of(id: &Id<'_>) -> Digest {
    Digest::of(&[id.value().expose()])
}

/// Returns whether a request has an id in any field, as that of a trace, or may have it in one that is not known.
fn may_bring(head: &RequestHead, id: &Id<'_>) -> bool {
    let brings = |value: &[u8]| memchr::memmem::find(value, id.value().expose()).is_some();
    head.unknown > 0
        || head
            .fields
            .raw()
            .any(|raw| raw.field().value.is_none_or(|value| brings(value.expose())))
}

/// The method and the path of a request; `None` if one of them is not known.
pub(super) fn target(head: &RequestHead) -> Option<Digest> {
    let method = head.method.as_deref()?;
    // CONNECT has no path.
    let path = head.path.as_ref().map_or(&b""[..], |path| path.expose());
    (head.path.is_some() || method == "CONNECT").then(|| Digest::of(&[method.as_bytes(), path]))
}
