//! Requests whose responses have not ended.

use std::{collections::BTreeMap, sync::Arc};

use http_decode::Side;
use opentelemetry_proto::tonic::{common::v1::KeyValue, metrics::v1::NumberDataPoint};
use tracer_observe::correlate::ActiveRequests;

use super::points::{Span, number, sum};
use crate::{
    limits::MAX_SERIES,
    otlp::{
        attributes::Attributes,
        record::{EncodedResource, Record},
        span::Endpoint,
    },
};

/// How many requests are active: at most [`MAX_SERIES`] counts, and those of the rest.
#[derive(Debug, Default)]
pub(super) struct Active(BTreeMap<Key, u64>);

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    resource: EncodedResource,
    side: Side,
    /// `None` of those for which there is no room.
    labels: Option<Labels>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Labels {
    method: &'static str,
    scheme: &'static str,
    /// Address and port of the server, of requests to upstream servers.
    server: Option<String>,
}

impl Active {
    /// Sets the requests that are active, with the resources of their processes. Those beyond the bound are of tlscope's `own`.
    pub(super) fn set(
        &mut self,
        active: &[(EncodedResource, &ActiveRequests)],
        own: &EncodedResource,
        methods: &[String],
    ) {
        self.0.values_mut().for_each(|count| *count = 0);
        for (resource, requests) in active {
            let labels = Some(Labels::of(requests, methods));
            let side = requests.side;
            let resource = Arc::clone(resource);
            let mut key = Key { resource, side, labels };
            if self.0.len() >= MAX_SERIES && !self.0.contains_key(&key) {
                key.resource = Arc::clone(own);
                key.labels = None;
            }
            *self.0.entry(key).or_default() += requests.count;
        }
    }

    /// Returns sums, which can go down, for each resource and side. A count that became 0 is in them once more: otherwise it would
    /// stay for the collector as it was.
    pub(super) fn take_records(&mut self, span: Span) -> Vec<Record> {
        let records = self.records(span);
        self.0.retain(|_, count| *count > 0);
        records
    }

    fn records(&self, span: Span) -> Vec<Record> {
        let mut by_metric: BTreeMap<(&EncodedResource, Side), Vec<NumberDataPoint>> = BTreeMap::new();
        for (Key { resource, side, labels }, count) in &self.0 {
            let points = by_metric.entry((resource, *side)).or_default();
            points.push(number(attributes(labels.as_ref()), *count, span));
        }
        let record = |((resource, side), points)| {
            let (name, description) = match side {
                Side::Client => ("http.client.active_requests", "Number of active HTTP client requests."),
                Side::Server => ("http.server.active_requests", "Number of active HTTP server requests."),
            };
            Record::new(resource, &sum([name, description, "{request}"], points, false))
        };
        by_metric.into_iter().map(record).collect()
    }
}

impl Labels {
    fn of(requests: &ActiveRequests, methods: &[String]) -> Self {
        let is_known = |method: &&'static str| methods.iter().any(|known| known == method);
        Self {
            method: requests.method.filter(is_known).unwrap_or("_OTHER"),
            scheme: if requests.is_encrypted { "https" } else { "http" },
            server: requests.server.clone(),
        }
    }
}

fn attributes(labels: Option<&Labels>) -> Vec<KeyValue> {
    let mut attributes = Attributes::default();
    let Some(Labels { method, scheme, server }) = labels else {
        attributes.truth_if_any("otel.metric.overflow", Some(true));
        return attributes.into_list();
    };
    attributes.text("http.request.method", method);
    attributes.text("url.scheme", scheme);
    if let Some(Endpoint { address, port }) = server.as_deref().and_then(Endpoint::parse) {
        attributes.text("server.address", address);
        attributes.number_if_any("server.port", port);
    }
    attributes.into_list()
}
