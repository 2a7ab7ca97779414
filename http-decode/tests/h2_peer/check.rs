//! Comparing the exchanges of http-decode with what the peers received.

use std::collections::BTreeMap;

use http_decode::{End, Ended, Exchange, Fields, Output, Protocol, RequestHead, ResponseHead};
use proptest::prelude::*;

use crate::received::{self, Received};
use crate::tape::Tape;
use crate::wire::Wire;

type Outcome = Result<(), TestCaseError>;

/// Returns the exchanges by stream. No half of an exchange may come twice.
pub(crate) fn by_stream(outputs: &[Output]) -> Result<BTreeMap<u64, Vec<&Exchange>>, TestCaseError> {
    let mut found = BTreeMap::<u64, Vec<&Exchange>>::new();
    for output in outputs {
        if let Output::Exchange(exchange) = output {
            found.entry(exchange.stream).or_default().push(exchange);
        }
    }
    for halves in found.values() {
        let requests = halves.iter().filter(|exchange| exchange.request.is_some());
        let responses = halves.iter().filter(|exchange| exchange.response.is_some());
        prop_assert!(requests.count() <= 1 && responses.count() <= 1, "twice: {:?}", halves);
    }
    Ok(found)
}

/// Checks an exchange of which every byte was captured; `end` is its end, if the exchange was emitted before that.
pub(crate) fn whole(tape: &Tape, exchange: &Exchange, end: Option<&End>, received: &Received, wire: &Wire) -> Outcome {
    let (ended_at, ended) = wire.end.expect("every stream ended");
    let reported = match end {
        Some(end) => (Some(end.ended_at), Some(end.ended)),
        None => (exchange.ended_at, exchange.ended),
    };
    prop_assert_eq!(reported, (received.response.as_ref().map(|_| ended_at), Some(ended)));
    prop_assert_eq!((exchange.began, exchange.origin), (wire.began, 7));
    prop_assert_eq!((exchange.protocol, exchange.side), (Protocol::Http2, tape.side));
    let counted_until = end.and(exchange.head_at).unwrap_or(ended_at);
    whole_request(
        exchange,
        received,
        wire.request_ended_at.is_none_or(|at| at <= counted_until),
    )?;
    prop_assert_eq!(exchange.informational.len(), received.informational.len());
    for (found, truth) in exchange.informational.iter().zip(&received.informational) {
        whole_response_head(found, truth)?;
    }
    prop_assert_eq!(exchange.response.is_some(), received.response.is_some());
    let (Some(response), Some(truth)) = (&exchange.response, &received.response) else {
        return Ok(());
    };
    whole_response_head(&response.head, truth)?;
    prop_assert_eq!(exchange.head_at, Some(wire.block_at[received.informational.len()]));
    let reported = match end {
        Some(end) => (end.body_bytes, &end.trailers),
        None => (response.body_bytes, &response.trailers),
    };
    if let Some(end) = &received.response_end {
        prop_assert_eq!((reported.0, list(reported.1)), (Some(end.bytes), end.trailers.clone()));
    }
    Ok(())
}

/// Checks a request. What the client sends after the end of the exchange is not counted.
fn whole_request(exchange: &Exchange, received: &Received, counted: bool) -> Outcome {
    let truth = received.request.as_ref().expect("every stream began");
    let request = exchange.request.as_ref().expect("it has a request");
    whole_request_head(&request.head, truth)?;
    match &received.request_end {
        None => {}
        Some(end) if counted => {
            prop_assert_eq!(request.body_bytes, Some(end.bytes));
            prop_assert_eq!(&list(&request.trailers), &end.trailers);
        }
        Some(end) => {
            prop_assert!(request.body_bytes.is_some_and(|bytes| bytes <= end.bytes));
            prop_assert!(is_part(&request.trailers, &end.trailers));
        }
    }
    Ok(())
}

fn whole_request_head(found: &RequestHead, truth: &received::Request) -> Outcome {
    let RequestHead { method, scheme, .. } = found;
    prop_assert_eq!(method.as_deref(), Some(truth.method.as_str()));
    prop_assert_eq!(scheme.as_deref(), Some(truth.scheme.as_str()));
    prop_assert_eq!(authority(found), Some(truth.authority.clone().into_bytes()));
    prop_assert_eq!(path(found), Some(truth.path.clone().into_bytes()));
    prop_assert_eq!((&found.protocol_upgrade, found.unknown), (&None, 0));
    prop_assert_eq!(&list(&found.fields), &truth.fields);
    Ok(())
}

fn whole_response_head(found: &ResponseHead, truth: &received::Response) -> Outcome {
    prop_assert_eq!((found.status, found.unknown), (Some(truth.status), 0));
    prop_assert_eq!(&list(&found.fields), &truth.fields);
    Ok(())
}

fn authority(head: &RequestHead) -> Option<Vec<u8>> {
    head.authority().map(|authority| authority.expose().to_vec())
}

fn path(head: &RequestHead) -> Option<Vec<u8>> {
    head.path.as_ref().map(|path| path.expose().to_vec())
}

/// Returns fields that are all known.
fn list(fields: &Fields) -> Vec<received::Field> {
    let field = |field: http_decode::Field<'_>| received::Field {
        name: field.name.expect("the name is known").to_owned(),
        value: field.value.expect("the value is known").expose().to_vec(),
        never_indexed: field.never_indexed,
    };
    fields.iter().map(field).collect()
}

/// Checks an exchange of which bytes were not captured: nothing in it may be wrong.
pub(crate) fn honest(exchange: &Exchange, received: &Received, wire: &Wire, intact: &Intact) -> Outcome {
    if let Some(request) = &exchange.request {
        let truth = received.request.as_ref().expect("every stream began");
        // If the server did not read the request, its trailers are unknown.
        let end = received.request_end.as_ref();
        let trailers = end.map_or(&[][..], |end| &end.trailers);
        let is_trailers = |fields| end.is_none() || is_part(fields, trailers);
        if intact.request {
            honest_request(&request.head, truth, true)?;
            prop_assert!(is_trailers(&request.trailers));
        } else {
            let either = honest_request(&request.head, truth, false).is_ok() || is_trailers(&request.head.fields);
            prop_assert!(either, "neither head nor trailers");
        }
        let (bytes, end) = (request.body_bytes, end.map(|end| end.bytes));
        prop_assert!(is_within(bytes, end, false), "{:?} of {:?}", bytes, end);
    }
    honest_responses(exchange, received, intact)?;
    let (_, ended) = wire.end.expect("every stream ended");
    match exchange.ended {
        // Of a reset behind a response that ended, the earlier end may be lost.
        Some(Ended::Complete) => prop_assert_eq!(ended, Ended::Complete),
        // Every stream ended before the connection did.
        Some(Ended::Upgraded | Ended::Closed) | None => prop_assert!(false, "{:?}", exchange.ended),
        Some(Ended::Reset | Ended::Lost) => {}
    }
    Ok(())
}

/// The header blocks that must be decoded.
pub(crate) struct Intact {
    pub(crate) request: bool,
    /// All header blocks of the response: 1xx, final, trailers.
    pub(crate) response: bool,
}

fn honest_request(found: &RequestHead, truth: &received::Request, whole: bool) -> Outcome {
    let RequestHead {
        method,
        scheme,
        protocol_upgrade,
        fields,
        unknown,
        ..
    } = found;
    let pseudo = [
        (method.as_deref().map(|text| text.as_bytes().to_vec()), &truth.method),
        (scheme.as_deref().map(|text| text.as_bytes().to_vec()), &truth.scheme),
        (authority(found), &truth.authority),
        (path(found), &truth.path),
    ];
    let unseen = pseudo.iter().filter(|(found, _)| found.is_none()).count();
    for (found, truth) in pseudo {
        prop_assert!(
            found.as_ref().is_none_or(|found| found == truth.as_bytes()),
            "{:?}",
            found
        );
    }
    prop_assert_eq!(protocol_upgrade, &None);
    honest_section(fields, *unknown, unseen, &truth.fields, whole)
}

fn honest_response(found: &ResponseHead, truth: &received::Response, whole: bool) -> Outcome {
    prop_assert!(found.status.is_none_or(|status| status == truth.status), "{:?}", found);
    let unseen = usize::from(found.status.is_none());
    honest_section(&found.fields, found.unknown, unseen, &truth.fields, whole)
}

/// Checks the fields of a head of which `unseen` pseudo-header fields are unknown.
fn honest_section(found: &Fields, unknown: u32, unseen: usize, truth: &[received::Field], whole: bool) -> Outcome {
    prop_assert!(is_part(found, truth), "{:?} of {:?}", found, truth);
    let partial = found
        .iter()
        .filter(|field| field.name.is_none() || field.value.is_none())
        .count();
    prop_assert!(unknown as usize >= partial, "{unknown} unknown in {found:?}");
    if whole {
        prop_assert_eq!(found.len(), truth.len() + unseen, "{:?} of {:?}", found, truth);
        prop_assert_eq!(unknown as usize, partial, "{:?}", found);
        // Pseudo-header fields come first, so the fields of a whole head stand where they stood.
        for (found, truth) in found.iter().skip(unseen).zip(truth) {
            prop_assert!(is_like(&found, truth), "{:?} for {:?}", found, truth);
        }
    } else {
        prop_assert!(unknown > 0 || found.len() == truth.len(), "{:?} of {:?}", found, truth);
    }
    Ok(())
}

fn honest_responses(exchange: &Exchange, received: &Received, intact: &Intact) -> Outcome {
    let heads: Vec<&received::Response> = received.informational.iter().chain(&received.response).collect();
    let trailers = received.response_end.as_ref().map_or(&[][..], |end| &end.trailers);
    for found in &exchange.informational {
        let known = heads.iter().any(|truth| honest_response(found, truth, false).is_ok());
        prop_assert!(known, "{:?} of {:?}", found, heads);
    }
    let Some(response) = &exchange.response else {
        return Ok(());
    };
    if intact.response
        && let Some(truth) = &received.response
        && !is_obscured(response, received)
    {
        honest_response(&response.head, truth, true)?;
        prop_assert!(is_part(&response.trailers, trailers));
    } else {
        let is_head = heads
            .iter()
            .any(|truth| honest_response(&response.head, truth, false).is_ok());
        let is_trailers = response.head.status.is_none() && is_part(&response.head.fields, trailers);
        prop_assert!(is_head || is_trailers, "neither head nor trailers");
    }
    let bytes = received.response_end.as_ref().map(|end| end.bytes);
    let complete = exchange.ended == Some(Ended::Complete);
    prop_assert!(is_within(response.body_bytes, bytes, complete), "{:?}", bytes);
    Ok(())
}

/// Returns whether a response is left out whose last two blocks have no content between them: if the status of neither is
/// known, they may be two heads, or a head and trailers.
fn is_obscured(found: &http_decode::Response, received: &Received) -> bool {
    let http_decode::Response { head, trailers, .. } = found;
    let end = received.response_end.as_ref();
    head.status.is_none()
        && head.fields.is_empty()
        && head.unknown > 0
        && trailers.is_empty()
        && end.is_some_and(|end| end.bytes == 0 && (!received.informational.is_empty() || !end.trailers.is_empty()))
}

/// Returns whether a body may be reported to have `found` bytes, if it has `truth` bytes and that is known.
fn is_within(found: Option<u64>, truth: Option<u64>, complete: bool) -> bool {
    match (found, truth) {
        (Some(found), Some(truth)) => found == truth || (found < truth && !complete),
        (None, _) | (_, None) => true,
    }
}

/// Returns whether what is known of some fields occurs in others in that order.
fn is_part(found: &Fields, truth: &[received::Field]) -> bool {
    let mut truth = truth.iter();
    let mut known = found.iter().filter(|field| field.name.is_some());
    known.all(|field| truth.any(|truth| is_like(&field, truth)))
}

/// Returns whether nothing that is known of a field is wrong.
fn is_like(found: &http_decode::Field<'_>, truth: &received::Field) -> bool {
    let value = found.value.as_ref().map(|value| value.expose().to_vec());
    found.name.is_none_or(|name| name == truth.name)
        && value.is_none_or(|value| value == truth.value && found.never_indexed == truth.never_indexed)
}
