//! Tests of metrics.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    metrics::v1::{Metric, metric::Data},
};
use prost::Message as _;

use super::*;
use crate::otlp::sample;

fn key(side: &'static str, status: u16) -> SeriesKey {
    let mut line = sample::exchange();
    line.side = side;
    if let Some(response) = &mut line.response {
        response.status = Some(status);
    }
    let methods = ["GET".to_owned()];
    SeriesKey::of(Arc::default(), &line, &Http::of(&line, &methods))
}

fn decode(records: &[Record]) -> Vec<Metric> {
    records
        .iter()
        .map(|record| Metric::decode(record.bytes.as_slice()).unwrap())
        .collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn durations_are_histograms_with_the_attributes_of_the_conventions() {
    let mut metrics = Metrics::new(seconds(60));
    metrics.tick(seconds(1));
    metrics.exchange(key("server", 200), 6_000);
    metrics.exchange(key("server", 200), 2_000_000);
    metrics.exchange(key("client", 500).with_error(Some("500")), 1);
    assert_eq!(metrics.tick(seconds(60)).len(), 0);
    metrics.note(seconds(60));
    let [client, server] = &decode(&metrics.tick(seconds(61)))[..] else {
        panic!()
    };
    assert_eq!(
        (client.name.as_str(), client.unit.as_str()),
        ("http.client.request.duration", "s")
    );
    assert_eq!(server.name, "http.server.request.duration");
    let Some(Data::Histogram(histogram)) = &server.data else {
        panic!()
    };
    let [point] = &histogram.data_points[..] else { panic!() };
    assert_eq!(
        (point.count, point.sum, point.min, point.max),
        (2, Some(2.006), Some(0.006), Some(2.0))
    );
    assert_eq!(
        (point.start_time_unix_nano, point.time_unix_nano),
        (1_000_000_000, 61_000_000_000)
    );
    assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
    let keys: Vec<_> = point
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "http.request.method",
            "url.scheme",
            "network.protocol.version",
            "http.response.status_code"
        ]
    );
    let Some(Data::Histogram(histogram)) = &client.data else {
        panic!()
    };
    let keys: Vec<_> = histogram.data_points[0]
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    assert!(keys.contains(&"server.address") && keys.contains(&"server.port") && keys.contains(&"error.type"));
}

#[test]
fn series_are_bounded() {
    let mut metrics = Metrics::new(seconds(1));
    for status in 0..=u16::try_from(MAX_SERIES).unwrap() {
        metrics.exchange(key("server", status), 1);
    }
    assert_eq!(metrics.durations.len(), MAX_SERIES + 1);
    metrics.exchange(key("server", 60_000), 1);
    metrics.tick(seconds(0));
    let [metric] = &decode(&metrics.tick(seconds(1)))[..] else {
        panic!()
    };
    let Some(Data::Histogram(histogram)) = &metric.data else {
        panic!()
    };
    let overflow = &histogram.data_points[0];
    assert_eq!(
        (overflow.attributes[0].key.as_str(), overflow.count),
        ("otel.metric.overflow", 2)
    );
}

#[test]
fn what_was_lost_and_dropped_is_counted() {
    let mut metrics = Metrics::new(seconds(1));
    let own = Arc::default();
    for dropped in [Some(2), None, Some(3)] {
        metrics.health(
            &own,
            &HealthLine {
                time: sample::time(),
                subject: "ring",
                name: None,
                state: "dropped",
                used: None,
                capacity: None,
                dropped,
            },
        );
    }
    metrics.note(seconds(5));
    let [metric] = &decode(&metrics.finish())[..] else {
        panic!()
    };
    let Some(Data::Sum(sum)) = &metric.data else { panic!() };
    assert!(sum.is_monotonic && metric.name == "tlscope.dropped");
    let value = sum.data_points[0].attributes[0].value.clone().unwrap().value;
    assert_eq!(value, Some(Value::StringValue("ring".to_owned())));
    assert_eq!(
        sum.data_points[0].value,
        Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(5))
    );
}
