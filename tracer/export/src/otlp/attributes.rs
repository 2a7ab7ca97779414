//! Attributes, as records have them.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};

/// A list of attributes in the making.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Adds a text.
    pub(super) fn text(&mut self, key: impl Into<String>, value: &str) {
        self.add(key, Value::StringValue(value.to_owned()));
    }

    /// Adds a text, if it is known.
    pub(super) fn text_if_any(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// Adds a number.
    pub(super) fn number(&mut self, key: &'static str, value: impl TryInto<i64>) {
        self.add(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX)));
    }

    /// Adds a number, if it is known.
    pub(super) fn number_if_any(&mut self, key: &'static str, value: Option<impl TryInto<i64>>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    /// Adds a truth value, if it is known.
    pub(super) fn truth_if_any(&mut self, key: &'static str, value: Option<bool>) {
        if let Some(value) = value {
            self.add(key, Value::BoolValue(value));
        }
    }

    /// Adds a list of texts.
    pub(super) fn texts(&mut self, key: impl Into<String>, values: &[&str]) {
        let values = values.iter().map(|value| AnyValue {
            value: Some(Value::StringValue((*value).to_owned())),
        });
        self.add(
            key,
            Value::ArrayValue(ArrayValue {
                values: values.collect(),
            }),
        );
    }

    /// Returns the list.
    pub(super) fn into_list(self) -> Vec<KeyValue> {
        self.0
    }

    fn add(&mut self, key: impl Into<String>, value: Value) {
        self.0.push(KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }
}
