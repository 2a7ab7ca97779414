//! Hops as they are printed: both sides, and what the gateway changed.
//!
//! Heads are compared as they were sent, and only redacted values are printed: of a secret, a reader learns whether it was
//! changed, and no more.

use http_decode::{Exchange, Request, RequestHead, Response, ResponseHead, Timestamp};

use super::{
    ChangeLine, DiffLine, ExchangeObject, HopLine, Printable, Time, UpstreamLine, values::Composer, words::Word,
};
use crate::{
    correlate::{Observed, Process},
    join::{Diff, DiffSide, Hop, How, Upstream, exchange, exchange_id},
};

impl Composer<'_> {
    /// Converts a hop; `None` if it has no exchange.
    pub(super) fn hop<'a>(&mut self, hop: &'a Hop) -> Option<HopLine<'a>> {
        let Hop {
            downstream,
            upstreams,
            candidates,
        } = hop;
        let first = downstream
            .as_deref()
            .or(upstreams.first().map(|upstream| &*upstream.observed))?;
        let asked = downstream.as_deref().and_then(exchange);
        let Process { pid, name } = &first.connection.process;
        let upstreams: Vec<_> = upstreams
            .iter()
            .filter_map(|upstream| self.upstream(upstream, asked))
            .collect();
        let line = HopLine {
            id: exchange_id(&first.connection.id, exchange(first)?.ordinal),
            time: Time::new(first.time),
            pid: *pid,
            process: name.as_str().into(),
            gateway_us: gateway_us(hop),
            candidates: candidates.iter().map(|id| Printable::from(id.as_str())).collect(),
            downstream: downstream.as_deref().and_then(|one| self.exchange_object(one)),
            upstreams,
            encoding: self.encoding(),
        };
        Some(line)
    }

    fn upstream<'a>(&mut self, upstream: &'a Upstream, asked: Option<&'a Exchange>) -> Option<UpstreamLine<'a>> {
        let Upstream { observed, how, reused } = upstream;
        let asking = exchange(observed)?;
        let requests = asked
            .and_then(|asked| asked.request.as_ref())
            .zip(asking.request.as_ref());
        let responses = asking
            .response
            .as_ref()
            .zip(asked.and_then(|asked| asked.response.as_ref()));
        let first_byte = asking.head_at.filter(|_| asking.request.is_some());
        Some(UpstreamLine {
            joined: how.map(How::name),
            reused: *reused,
            upstream_first_byte_us: first_byte.map(|at| micros(asking.began, at)),
            request_diff: requests
                .filter(|_| self.redactor.has_fields)
                .map(|(from, to)| self.request_diff(from, to)),
            response_diff: responses
                .filter(|_| self.redactor.has_fields)
                .map(|(from, to)| self.response_diff(from, to)),
            exchange: self.exchange_object(observed)?,
        })
    }

    fn exchange_object<'a>(&mut self, observed: &'a Observed) -> Option<ExchangeObject<'a>> {
        let line = self.exchange(observed.time, &observed.connection, exchange(observed)?);
        Some(ExchangeObject(Box::new(line)))
    }

    fn request_diff<'a>(&mut self, from: &'a Request, to: &'a Request) -> DiffLine<'a> {
        let heads = [&from.head, &to.head];
        let sides = heads.map(|head| DiffSide {
            fields: &head.fields,
            complete: head.unknown == 0 && head.malformed.is_none(),
        });
        // The authority is compared with the request line, wherever it was sent.
        let mut line = self.diff(sides, Some("host"));
        let mut parts = self.changed_parts(heads);
        parts.append(&mut line.changed);
        DiffLine { changed: parts, ..line }
    }

    /// Compares the parts of request lines.
    fn changed_parts<'a>(&mut self, [from, to]: [&'a RequestHead; 2]) -> Vec<ChangeLine<'a>> {
        let mut parts = Vec::new();
        if let (Some(before), Some(after)) = (&from.method, &to.method)
            && before != after
        {
            parts.push((
                ":method".into(),
                self.word(Word::Method, before),
                self.word(Word::Method, after),
            ));
        }
        if let (Some(before), Some(after)) = (from.authority(), to.authority())
            && before != after
        {
            let before = self.authority(before.expose(), from.never_indexed.authority);
            let after = self.authority(after.expose(), to.never_indexed.authority);
            parts.push((":authority".into(), before, after));
        }
        if let (Some(before), Some(after)) = (&from.path, &to.path)
            && before != after
        {
            let before = self.path(before, from.never_indexed.path);
            parts.push((":path".into(), before, self.path(after, to.never_indexed.path)));
        }
        parts
    }

    fn response_diff<'a>(&mut self, from: &'a Response, to: &'a Response) -> DiffLine<'a> {
        let heads: [&ResponseHead; 2] = [&from.head, &to.head];
        let sides = heads.map(|head| DiffSide {
            fields: &head.fields,
            complete: head.unknown == 0 && head.malformed.is_none(),
        });
        let mut line = self.diff(sides, None);
        if let [Some(before), Some(after)] = heads.map(|head| head.status)
            && before != after
        {
            let status = |status: u16| Printable::from(status.to_string());
            line.changed
                .insert(0, (":status".into(), status(before), status(after)));
        }
        line
    }

    fn diff<'a>(&mut self, sides: [DiffSide<'a>; 2], except: Option<&str>) -> DiffLine<'a> {
        let Diff {
            added,
            removed,
            changed,
            reordered,
        } = Diff::of(sides, except);
        let changed = changed.into_iter().filter_map(|[before, after]| {
            let ((name, before), (_, after)) = (self.field(before), self.field(after));
            Some((name?, before?, after?))
        });
        let changed = changed.collect();
        DiffLine {
            added: added.into_iter().map(|field| self.field(field)).collect(),
            removed: removed.into_iter().map(|field| self.field(field)).collect(),
            changed,
            reordered: reordered.into_iter().map(|name| self.field_name(name)).collect(),
            complete: sides.iter().all(|side| side.complete),
        }
    }
}

/// Returns how long the gateway had a request while no upstream server had it, if both ends of all of them were seen.
fn gateway_us(hop: &Hop) -> Option<u64> {
    let (began, ended) = interval(hop.downstream.as_deref().and_then(exchange)?)?;
    if hop.upstreams.is_empty() {
        return None;
    }
    let mut intervals = hop
        .upstreams
        .iter()
        .map(|upstream| exchange(&upstream.observed).and_then(interval))
        .collect::<Option<Vec<_>>>()?;
    intervals.sort_unstable();
    let (mut upstream_ns, mut covered) = (0, began);
    for (from, to) in intervals {
        let (from, to) = (from.max(covered), to.min(ended));
        upstream_ns += to.saturating_sub(from);
        covered = covered.max(to);
    }
    Some((ended - began).saturating_sub(upstream_ns) / 1000)
}

/// Returns when an exchange began and ended, if both were seen.
fn interval(exchange: &Exchange) -> Option<(u64, u64)> {
    let (Timestamp(began), Timestamp(ended)) = (exchange.began, exchange.ended_at?);
    (exchange.request.is_some() && began <= ended).then_some((began, ended))
}

fn micros(began: Timestamp, end: Timestamp) -> u64 {
    end.0.saturating_sub(began.0) / 1000
}
