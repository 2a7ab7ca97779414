//! Metrics as messages.

use std::{collections::BTreeMap, time::Duration};

use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Histogram as HistogramData, HistogramDataPoint, Metric, NumberDataPoint, Sum,
        metric::Data, number_data_point::Value,
    },
};
use tracer_observe::correlate::FunctionRecords;

use super::{
    Counter, Labels, SeriesKey,
    histogram::{BOUNDS, Histogram, seconds},
};
use crate::otlp::{
    attributes::Attributes,
    record::{EncodedResource, Record},
    span::nanos,
};

/// The span of time that metrics are about, since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) began: Duration,
    pub(super) now: Duration,
}

/// Returns a histogram for each resource and side.
pub(super) fn histograms(durations: &BTreeMap<SeriesKey, Histogram>, span: Span) -> Vec<Record> {
    let mut by_metric: BTreeMap<(&EncodedResource, &str), Vec<HistogramDataPoint>> = BTreeMap::new();
    for (key, histogram) in durations {
        let points = by_metric.entry((&key.resource, key.side)).or_default();
        points.push(point(attributes(key.labels.as_deref()), histogram, span));
    }
    let record = |((resource, side), data_points)| {
        let (name, description) = match side {
            "client" => ("http.client.request.duration", "Duration of HTTP client requests."),
            _ => ("http.server.request.duration", "Duration of HTTP server requests."),
        };
        let data = Data::Histogram(HistogramData {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        });
        Record::new(resource, &metric(name, description, "s", data))
    };
    by_metric.into_iter().map(record).collect()
}

/// Returns the sums of what is counted.
pub(super) fn counters(counts: &BTreeMap<(EncodedResource, Counter), u64>, span: Span) -> Vec<Record> {
    let mut by_metric: BTreeMap<(&EncodedResource, [&str; 3]), Vec<NumberDataPoint>> = BTreeMap::new();
    for ((resource, counter), count) in counts {
        let (metric, attributes) = describe(*counter);
        let points = by_metric.entry((resource, metric)).or_default();
        points.push(number(attributes, *count, span));
    }
    let record = |((resource, words), points)| Record::new(resource, &sum(words, points, true));
    by_metric.into_iter().map(record).collect()
}

/// Returns the sums of the records that the hooks of functions have brought, of those that did; nothing if none did.
pub(super) fn of_functions(own: &EncodedResource, functions: &[FunctionRecords], span: Span) -> Option<Record> {
    let hit = functions.iter().filter(|function| function.records > 0);
    let point = |of: &FunctionRecords| {
        let mut attributes = Attributes::default();
        attributes.text("tlscope.library", of.library.as_str());
        attributes.text("tlscope.function", &of.function);
        number(attributes.into_list(), of.records, span)
    };
    let points: Vec<_> = hit.map(point).collect();
    let words = [
        "tlscope.records",
        "Records of data that the hooks of a function brought.",
        "{record}",
    ];
    (!points.is_empty()).then(|| Record::new(own, &sum(words, points, true)))
}

pub(super) fn number(attributes: Vec<KeyValue>, count: u64, span: Span) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: nanos(span.began),
        time_unix_nano: nanos(span.now),
        value: Some(Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    }
}

/// Returns a metric that is a sum, by its name, its description and its unit.
pub(super) fn sum(
    [name, description, unit]: [&str; 3],
    data_points: Vec<NumberDataPoint>,
    is_monotonic: bool,
) -> Metric {
    let data = Data::Sum(Sum {
        data_points,
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic,
    });
    metric(name, description, unit, data)
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn point(attributes: Vec<KeyValue>, histogram: &Histogram, span: Span) -> HistogramDataPoint {
    let Histogram {
        counts,
        sum_us,
        min_us,
        max_us,
    } = histogram;
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: nanos(span.began),
        time_unix_nano: nanos(span.now),
        count: counts.iter().sum(),
        sum: Some(seconds(*sum_us)),
        bucket_counts: counts.to_vec(),
        explicit_bounds: BOUNDS.to_vec(),
        min: min_us.map(seconds),
        max: max_us.map(seconds),
        ..HistogramDataPoint::default()
    }
}

fn attributes(labels: Option<&Labels>) -> Vec<KeyValue> {
    let mut attributes = Attributes::default();
    let Some(labels) = labels else {
        attributes.truth_if_any("otel.metric.overflow", Some(true));
        return attributes.into_list();
    };
    let Labels {
        method,
        scheme,
        version,
        server,
        status,
        error,
    } = labels;
    attributes.text("http.request.method", method);
    attributes.text_if_any("url.scheme", scheme.as_deref());
    attributes.text_if_any("network.protocol.version", *version);
    if let Some((address, port)) = server {
        attributes.text("server.address", address);
        attributes.number_if_any("server.port", *port);
    }
    attributes.number_if_any("http.response.status_code", *status);
    attributes.text_if_any("error.type", error.as_deref());
    attributes.into_list()
}

/// Returns name, description and unit of the metric of a counter, and its attributes.
fn describe(counter: Counter) -> ([&'static str; 3], Vec<KeyValue>) {
    let mut attributes = Attributes::default();
    let metric = match counter {
        Counter::Losses { direction, cause } => {
            attributes.text("tlscope.direction", direction);
            attributes.text("tlscope.cause", cause);
            ["tlscope.losses", "Holes in what was captured.", "{loss}"]
        }
        Counter::LostBytes { direction, cause } => {
            attributes.text("tlscope.direction", direction);
            attributes.text("tlscope.cause", cause);
            ["tlscope.lost_bytes", "Bytes that passed and were not captured.", "By"]
        }
        Counter::Dropped { subject, name } => {
            attributes.text("tlscope.subject", subject);
            attributes.text_if_any("tlscope.name", name);
            [
                "tlscope.dropped",
                "Records, entries or lines that tlscope dropped.",
                "{item}",
            ]
        }
        Counter::RefusedHooks { name, cause } => {
            attributes.text("tlscope.hook", name);
            attributes.text("tlscope.cause", cause);
            ["tlscope.hooks.refused", "Hooks that do not serve a process.", "{hook}"]
        }
    };
    (metric, attributes.into_list())
}
