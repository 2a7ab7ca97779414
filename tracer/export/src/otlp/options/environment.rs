//! The variables of the environment that OpenTelemetry defines for exporters.

use std::{fmt::Display, path::PathBuf, time::Duration};

use percent_encoding::percent_decode_str;

use super::{
    OptionError,
    header::{Header, pairs, parse_headers},
    url::{Protocol, Url},
};
use crate::otlp::signal::Signal;

/// Looks up variables.
pub(crate) struct Environment<'a>(pub(crate) &'a dyn Fn(&str) -> Option<String>);

/// A variable that is set and not empty.
struct Variable {
    name: String,
    value: String,
}

impl Variable {
    fn wrong(&self, reason: impl Display) -> OptionError {
        OptionError::Variable {
            name: self.name.clone(),
            reason: reason.to_string(),
        }
    }
}

impl Environment<'_> {
    /// Returns a variable. An empty one is like one that is not set.
    fn variable(&self, name: String) -> Option<Variable> {
        let value = self.0(&name)?.trim().to_owned();
        (!value.is_empty()).then_some(Variable { name, value })
    }

    /// Returns the variable of a signal, else that for all.
    fn of(&self, signal: Signal, option: &str) -> Option<Variable> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{option}", signal.variable());
        self.variable(own)
            .or_else(|| self.variable(format!("OTEL_EXPORTER_OTLP_{option}")))
    }

    /// Returns the URL for a signal, with its path.
    pub(super) fn url(&self, signal: Signal) -> Result<Option<Url>, OptionError> {
        let parse = |variable: Variable| {
            let url: Url = variable
                .value
                .parse()
                .map_err(|error: super::url::UrlError| variable.wrong(error.reason()))?;
            Ok(Url {
                protocol: self.protocol(signal)?.unwrap_or(url.protocol),
                ..url
            })
        };
        if let Some(own) = self.variable(format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable())) {
            return parse(own).map(Some);
        }
        let Some(base) = self.variable("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned()) else {
            return Ok(None);
        };
        let url = parse(base)?;
        Ok(Some(Url {
            path: format!("{}{}", url.path, signal.http_path()),
            ..url
        }))
    }

    /// Returns how requests are carried.
    pub(super) fn protocol(&self, signal: Signal) -> Result<Option<Protocol>, OptionError> {
        let Some(variable) = self.of(signal, "PROTOCOL") else {
            return Ok(None);
        };
        match variable.value.as_str() {
            "grpc" => Ok(Some(Protocol::Grpc)),
            "http/protobuf" => Ok(Some(Protocol::Http)),
            _ => Err(variable.wrong("wanted grpc or http/protobuf")),
        }
    }

    /// Returns the header fields of requests.
    pub(super) fn headers(&self, signal: Signal) -> Result<Vec<Header>, OptionError> {
        let Some(variable) = self.of(signal, "HEADERS") else {
            return Ok(Vec::new());
        };
        parse_headers(&variable.value).map_err(|error| variable.wrong(error))
    }

    /// Returns how long a request may take.
    pub(super) fn timeout(&self, signal: Signal) -> Result<Option<Duration>, OptionError> {
        let Some(variable) = self.of(signal, "TIMEOUT") else {
            return Ok(None);
        };
        let milliseconds = variable.value.parse().ok().filter(|milliseconds| *milliseconds > 0);
        let milliseconds = milliseconds.ok_or_else(|| variable.wrong("wanted a number of milliseconds"))?;
        Ok(Some(Duration::from_millis(milliseconds)))
    }

    /// Returns a file: `CERTIFICATE` of the authorities, `CLIENT_CERTIFICATE` or `CLIENT_KEY`.
    pub(super) fn file(&self, signal: Signal, option: &str) -> Option<PathBuf> {
        self.of(signal, option).map(|variable| variable.value.into())
    }

    /// Returns the attributes of resources: `OTEL_RESOURCE_ATTRIBUTES`, and `OTEL_SERVICE_NAME` which prevails.
    pub(super) fn resource(&self) -> Result<Vec<(String, String)>, OptionError> {
        let mut attributes = Vec::new();
        if let Some(name) = self.variable("OTEL_SERVICE_NAME".to_owned()) {
            attributes.push(("service.name".to_owned(), name.value));
        }
        if let Some(list) = self.variable("OTEL_RESOURCE_ATTRIBUTES".to_owned()) {
            for pair in pairs(&list.value) {
                let (name, value) = pair.ok_or_else(|| list.wrong("wanted a list of NAME=VALUE"))?;
                let value = percent_decode_str(value)
                    .decode_utf8()
                    .map_err(|error| list.wrong(error))?;
                if !attributes.iter().any(|(known, _)| known == name) {
                    attributes.push((name.to_owned(), value.into_owned()));
                }
            }
        }
        Ok(attributes)
    }

    /// Returns the methods that are known, if they are not those of the conventions.
    pub(super) fn methods(&self) -> Option<Vec<String>> {
        let list = self.variable("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS".to_owned())?;
        Some(list.value.split(',').map(|method| method.trim().to_owned()).collect())
    }

    /// Returns how often metrics are sent.
    pub(super) fn metric_interval(&self) -> Result<Option<Duration>, OptionError> {
        let Some(variable) = self.variable("OTEL_METRIC_EXPORT_INTERVAL".to_owned()) else {
            return Ok(None);
        };
        let milliseconds = variable.value.parse().ok().filter(|milliseconds| *milliseconds > 0);
        let milliseconds = milliseconds.ok_or_else(|| variable.wrong("wanted a number of milliseconds"))?;
        Ok(Some(Duration::from_millis(milliseconds)))
    }
}
