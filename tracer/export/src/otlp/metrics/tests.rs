//! Tests of metrics.

use http_decode::Side;
use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point::Value as NumberValue},
};
use prost::Message as _;
use tracer_observe::correlate::{LibraryName, Process};

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
    let mut metrics = Metrics::new(seconds(60), Arc::default());
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
    let mut metrics = Metrics::new(seconds(1), Arc::default());
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

fn active(count: u64, server: Option<&str>, pid: u32) -> ActiveRequests {
    ActiveRequests {
        process: Process {
            pid,
            name: "nginx".to_owned(),
        },
        side: if server.is_some() { Side::Client } else { Side::Server },
        is_encrypted: server.is_none(),
        method: Some(if server.is_some() { "PROPFIND" } else { "GET" }),
        server: server.map(str::to_owned),
        count,
    }
}

/// Returns name, attributes and value of each point.
fn sums(records: &[Record]) -> Vec<String> {
    let text = |attribute: &KeyValue| {
        let value = attribute.value.clone().unwrap().value.unwrap();
        if let Value::StringValue(text) = value {
            format!("{}={text}", attribute.key)
        } else if let Value::IntValue(number) = value {
            format!("{}={number}", attribute.key)
        } else {
            format!("{}={value:?}", attribute.key)
        }
    };
    let mut sums = Vec::new();
    for metric in decode(records) {
        let Some(Data::Sum(sum)) = metric.data else { panic!() };
        assert!(!sum.is_monotonic && metric.unit == "{request}");
        for point in sum.data_points {
            let attributes: Vec<_> = point.attributes.iter().map(text).collect();
            let Some(NumberValue::AsInt(value)) = point.value else {
                panic!()
            };
            sums.push(format!("{} {} {value}", metric.name, attributes.join(" ")));
        }
    }
    sums
}

#[test]
fn active_requests_are_sums_that_go_down_to_zero() {
    let mut metrics = Metrics::new(seconds(1), Arc::default());
    let methods = ["GET".to_owned()];
    let resource: EncodedResource = Arc::default();
    metrics.note(seconds(5));
    // Those of the server end.
    for (of_server, of_client) in [(3, 2), (0, 1)] {
        let active = [active(of_server, None, 1), active(of_client, Some("127.0.0.1:81"), 1)];
        let some = active.iter().filter(|active| active.count > 0);
        let some: Vec<_> = some.map(|active| (Arc::clone(&resource), active)).collect();
        metrics.note_active(&some, &methods);
        assert_eq!(
            sums(&metrics.finish()),
            [
                format!(
                    "http.client.active_requests http.request.method=_OTHER url.scheme=http \
                     server.address=127.0.0.1 server.port=81 {of_client}"
                ),
                format!("http.server.active_requests http.request.method=GET url.scheme=https {of_server}"),
            ]
        );
    }
    assert_eq!(sums(&metrics.finish()).len(), 1, "a count of 0 is sent once");
}

#[test]
fn active_requests_beyond_the_bound_share_a_sum() {
    let mut metrics = Metrics::new(seconds(1), Arc::default());
    metrics.note(seconds(5));
    let requests = active(1, None, 1);
    let resource = |number: usize| EncodedResource::from(number.to_le_bytes().to_vec());
    let all: Vec<_> = (0..MAX_SERIES + 2)
        .map(|number| (resource(number), &requests))
        .collect();
    metrics.note_active(&all, &[]);
    let sums = sums(&metrics.finish());
    let shared = sums.iter().filter(|sum| sum.contains("otel.metric.overflow"));
    assert_eq!(
        (sums.len(), shared.map(|sum| sum.ends_with(" 2")).collect()),
        (MAX_SERIES + 1, vec![true])
    );
}

#[test]
fn the_records_of_functions_are_a_sum_of_those_that_brought_some() {
    let mut metrics = Metrics::new(seconds(1), Arc::default());
    let of = |function: &str, records| FunctionRecords {
        library: LibraryName::new("openssl"),
        function: function.into(),
        records,
    };
    metrics.note(seconds(5));
    metrics.note_records(&[of("SSL_set_fd", 0)]);
    assert_eq!(metrics.finish().len(), 0);
    metrics.note_records(&[of("SSL_set_fd", 0), of("SSL_read", 3)]);
    let [metric] = &decode(&metrics.finish())[..] else {
        panic!()
    };
    let Some(Data::Sum(sum)) = &metric.data else { panic!() };
    let [point] = &sum.data_points[..] else { panic!() };
    assert!(sum.is_monotonic && metric.name == "tlscope.records" && metric.unit == "{record}");
    let attributes = point.attributes.iter().map(|attribute| {
        let Some(Value::StringValue(text)) = attribute.value.clone().unwrap().value else {
            panic!()
        };
        (attribute.key.as_str(), text)
    });
    let expected = [("tlscope.library", "openssl"), ("tlscope.function", "SSL_read")];
    assert!(attributes.eq(expected.map(|(key, text)| (key, text.to_owned()))));
    assert_eq!(point.value, Some(NumberValue::AsInt(3)));
}

#[test]
fn what_was_lost_and_dropped_is_counted() {
    let mut metrics = Metrics::new(seconds(1), Arc::default());
    for dropped in [Some(2), None, Some(3)] {
        metrics.health(&HealthLine {
            time: sample::time(),
            subject: "ring",
            name: None,
            state: "dropped",
            used: None,
            capacity: None,
            dropped,
        });
    }
    metrics.note(seconds(5));
    let [metric] = &decode(&metrics.finish())[..] else {
        panic!()
    };
    let Some(Data::Sum(sum)) = &metric.data else { panic!() };
    assert!(sum.is_monotonic && metric.name == "tlscope.dropped");
    let value = sum.data_points[0].attributes[0].value.clone().unwrap().value;
    assert_eq!(value, Some(Value::StringValue("ring".to_owned())));
    assert_eq!(sum.data_points[0].value, Some(NumberValue::AsInt(5)));
}
