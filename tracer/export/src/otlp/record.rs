//! Encoded records, and requests made of them.
//!
//! A record is encoded when it is queued, so that its size is known and a request can be sent again without another copy. What
//! is around records is the same in all three signals, field by field, which a test compares with the generated messages.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use opentelemetry_proto::tonic::{common::v1::InstrumentationScope, trace::v1::ScopeSpans};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};

/// The encoded resource of records: the process that they are about.
pub(super) type EncodedResource = Arc<[u8]>;

/// An encoded span, log record or metric.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) resource: EncodedResource,
    pub(super) bytes: Vec<u8>,
}

impl Record {
    /// Encodes a message.
    pub(super) fn new(resource: &EncodedResource, message: &impl Message) -> Self {
        Self {
            resource: Arc::clone(resource),
            bytes: message.encode_to_vec(),
        }
    }

    /// Appends another message of the same type: fields that both have are those of `message`, lists have the elements of both.
    pub(super) fn append(&mut self, message: &impl Message) {
        let more = message.encode_to_vec();
        // Room that is not used would count to the bound of the queue.
        self.bytes.reserve_exact(more.len());
        self.bytes.extend(more);
    }
}

/// Returns the body of a request with these records, in their order for each resource.
pub(super) fn request(records: &[Record]) -> Bytes {
    let mut by_resource: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
    let scope = scope();
    for Record { resource, bytes } in records {
        let in_scope = by_resource.entry(resource).or_insert_with(|| scope.clone());
        add_field(in_scope, RECORDS, bytes);
    }
    let mut request = Vec::new();
    for (resource, in_scope) in by_resource {
        let mut of_resource = Vec::new();
        add_field(&mut of_resource, RESOURCE, resource);
        add_field(&mut of_resource, SCOPES, &in_scope);
        add_field(&mut request, RESOURCES, &of_resource);
    }
    request.into()
}

/// Returns the encoded scope, before its records.
fn scope() -> Vec<u8> {
    ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "tlscope".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }),
        spans: Vec::new(),
        schema_url: SCHEMA_URL.to_owned(),
    }
    .encode_to_vec()
}

fn add_field(message: &mut Vec<u8>, number: u32, field: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(u64::try_from(field.len()).unwrap_or(u64::MAX), message);
    message.extend_from_slice(field);
}

/// The version of the conventions that attributes follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Fields of a request, of what it has for a resource, and of what that has for a scope.
const RESOURCES: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPES: u32 = 2;
const RECORDS: u32 = 2;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        collector::{
            logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
            trace::v1::ExportTraceServiceRequest,
        },
        common::v1::KeyValue,
        logs::v1::LogRecord,
        metrics::v1::Metric,
        resource::v1::Resource,
        trace::v1::Span,
    };

    use super::*;

    fn resource(name: &str) -> (Resource, EncodedResource) {
        let resource = Resource {
            attributes: vec![KeyValue {
                key: name.to_owned(),
                ..KeyValue::default()
            }],
            ..Resource::default()
        };
        let encoded = resource.encode_to_vec().into();
        (resource, encoded)
    }

    #[test]
    fn a_request_has_the_records_of_each_resource_in_order() {
        let ((first, one), (second, two)) = (resource("a"), resource("b"));
        let span = |name: &str| Span {
            name: name.to_owned(),
            ..Span::default()
        };
        let records = [("x", &two), ("y", &one), ("z", &two)].map(|(name, of)| Record::new(of, &span(name)));
        let decoded = ExportTraceServiceRequest::decode(request(&records)).unwrap();
        let [a, b] = &decoded.resource_spans[..] else {
            panic!("{decoded:?}")
        };
        assert_eq!((&a.resource, &b.resource), (&Some(first), &Some(second)));
        assert_eq!(a.scope_spans[0].spans, [span("y")]);
        assert_eq!(b.scope_spans[0].spans, [span("x"), span("z")]);
        let scope = b.scope_spans[0].scope.clone().unwrap();
        assert_eq!(
            (scope.name.as_str(), b.scope_spans[0].schema_url.as_str()),
            ("tlscope", SCHEMA_URL)
        );
    }

    #[test]
    fn the_other_signals_have_the_same_fields() {
        let (of, encoded) = resource("a");
        let log = LogRecord {
            event_name: "x".to_owned(),
            ..LogRecord::default()
        };
        let decoded = ExportLogsServiceRequest::decode(request(&[Record::new(&encoded, &log)])).unwrap();
        let [logs] = &decoded.resource_logs[..] else {
            panic!("{decoded:?}")
        };
        let [scope] = &logs.scope_logs[..] else {
            panic!("{decoded:?}")
        };
        assert_eq!(
            (&logs.resource, &scope.log_records[..]),
            (&Some(of.clone()), &[log][..])
        );
        assert_eq!(scope.schema_url, SCHEMA_URL);
        let metric = Metric {
            name: "x".to_owned(),
            ..Metric::default()
        };
        let decoded = ExportMetricsServiceRequest::decode(request(&[Record::new(&encoded, &metric)])).unwrap();
        let [metrics] = &decoded.resource_metrics[..] else {
            panic!("{decoded:?}")
        };
        let [scope] = &metrics.scope_metrics[..] else {
            panic!("{decoded:?}")
        };
        assert_eq!((&metrics.resource, &scope.metrics[..]), (&Some(of), &[metric][..]));
        assert_eq!(scope.scope.as_ref().unwrap().name, "tlscope");
    }

    #[test]
    fn an_appended_message_completes_a_record() {
        let (_, of) = resource("a");
        let mut record = Record::new(
            &of,
            &Span {
                name: "x".to_owned(),
                attributes: vec![KeyValue::default()],
                ..Span::default()
            },
        );
        record.append(&Span {
            end_time_unix_nano: 7,
            attributes: vec![KeyValue::default()],
            ..Span::default()
        });
        let span = Span::decode(record.bytes.as_slice()).unwrap();
        assert_eq!(
            (span.name.as_str(), span.end_time_unix_nano, span.attributes.len()),
            ("x", 7, 2)
        );
    }
}
