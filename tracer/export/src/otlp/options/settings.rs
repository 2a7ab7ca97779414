//! What the options and the environment come to.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use super::{Captured, Environment, Header, OptionError, OtlpArgs, Protocol, Security, Url};
use crate::otlp::signal::Signal;

/// What is sent, and where.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) targets: Vec<Target>,
    pub(crate) captured: Captured,
    /// Attributes of resources.
    pub(crate) resource: Vec<(String, String)>,
    /// Methods that are known.
    pub(crate) methods: Vec<String>,
    /// Time between two exports of metrics.
    pub(crate) metric_interval: Duration,
}

/// Where one signal goes.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) signal: Signal,
    pub(crate) url: Url,
    pub(crate) headers: Vec<Header>,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// A file of the certificates of authorities, in place of those of the machine.
    pub(crate) authorities: Option<PathBuf>,
    /// Files of the certificate and the key that identify tlscope.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Settings {
    /// Returns what is wanted; `None` if nothing is sent, whatever the environment has.
    pub(crate) fn new(args: &OtlpArgs, environment: &Environment<'_>) -> Result<Option<Self>, OptionError> {
        let OtlpArgs {
            otlp,
            otlp_signals,
            otlp_headers,
            otlp_capture_headers,
        } = args;
        let Some(url) = otlp else {
            return Ok(None);
        };
        let signals: BTreeSet<_> = otlp_signals.iter().copied().collect();
        let targets = signals
            .into_iter()
            .map(|signal| Target::new(signal, url.as_ref(), otlp_headers, environment))
            .collect::<Result<_, _>>()?;
        Ok(Some(Self {
            targets,
            captured: otlp_capture_headers.clone().unwrap_or_default(),
            resource: environment.resource()?,
            methods: environment.methods().unwrap_or_else(known_methods),
            metric_interval: environment.metric_interval()?.unwrap_or(METRIC_INTERVAL),
        }))
    }
}

impl Target {
    fn new(
        signal: Signal,
        given: Option<&Url>,
        headers: &[Header],
        environment: &Environment<'_>,
    ) -> Result<Self, OptionError> {
        let url = match given {
            Some(url) => Url {
                path: format!("{}{}", url.path, signal.http_path()),
                ..url.clone()
            },
            None => match environment.url(signal)? {
                Some(url) => url,
                None => default_url(signal, environment.protocol(signal)?.unwrap_or(Protocol::Http)),
            },
        };
        let url = match url.protocol {
            Protocol::Http => url,
            Protocol::Grpc => Url {
                path: signal.grpc_path().to_owned(),
                ..url
            },
        };
        let mut all = environment.headers(signal)?;
        all.retain(|header| headers.iter().all(|given| given.name != header.name));
        all.extend_from_slice(headers);
        let file = |option| environment.file(signal, option);
        Ok(Self {
            signal,
            url,
            headers: all,
            timeout: environment.timeout(signal)?.unwrap_or(TIMEOUT),
            authorities: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
        })
    }
}

fn default_url(signal: Signal, protocol: Protocol) -> Url {
    Url {
        protocol,
        security: Security::Plain,
        host: "localhost".to_owned(),
        port: match protocol {
            Protocol::Http => 4318,
            Protocol::Grpc => 4317,
        },
        path: signal.http_path().to_owned(),
    }
}

/// The methods that the conventions name: those of RFC 9110, PATCH and QUERY.
fn known_methods() -> Vec<String> {
    [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The default of `OTEL_METRIC_EXPORT_INTERVAL`.
const METRIC_INTERVAL: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        otlp: OtlpArgs,
    }

    fn settings(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let line = Line::try_parse_from([&["tlscope"], arguments].concat()).map_err(|error| error.to_string())?;
        let look_up = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::new(&line.otlp, &Environment(&look_up)).map_err(|error| error.to_string())
    }

    fn urls(arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
        let settings = settings(arguments, variables).unwrap().unwrap();
        settings.targets.iter().map(|target| target.url.to_string()).collect()
    }

    #[test]
    fn the_environment_alone_sends_nothing() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "x"),
        ];
        assert!(settings(&[], &variables).unwrap().is_none());
    }

    #[test]
    fn the_url_is_the_base_of_that_of_each_signal() {
        assert_eq!(
            urls(
                &["--otlp", "http://host:1/base/", "--otlp-signals", "metrics,traces,logs"],
                &[]
            ),
            [
                "http://host:1/base/v1/traces",
                "http://host:1/base/v1/logs",
                "http://host:1/base/v1/metrics"
            ]
        );
        assert_eq!(
            urls(
                &["--otlp", "grpc://host:1"],
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]
            ),
            ["grpc://host:1"]
        );
    }

    #[test]
    fn without_a_url_the_environment_has_it() {
        let all = ["--otlp", "--otlp-signals", "traces,logs"];
        assert_eq!(
            urls(&all, &[]),
            ["http://localhost:4318/v1/traces", "http://localhost:4318/v1/logs"]
        );
        assert_eq!(
            urls(&["--otlp"], &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
            ["grpc://localhost:4317"]
        );
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/own"),
        ];
        assert_eq!(
            urls(&all, &variables),
            ["https://other:443/own", "http://host:1/v1/logs"]
        );
        assert_eq!(
            urls(&["--otlp", "http://flag"], &variables),
            ["http://flag:80/v1/traces"],
            "the command line prevails"
        );
        let grpc = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://host:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ];
        assert_eq!(urls(&["--otlp"], &grpc), ["grpcs://host:1"]);
    }

    #[test]
    fn a_variable_that_is_not_valid_is_named() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "host:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_RESOURCE_ATTRIBUTES", "x"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ] {
            let error = settings(&["--otlp"], &[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
    }

    #[test]
    fn headers_and_resources_of_both_are_merged() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"),
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,zone=a%2Cb"),
        ];
        let settings = settings(&["--otlp", "--otlp-header", "B=3"], &variables)
            .unwrap()
            .unwrap();
        let headers: Vec<_> = settings.targets[0]
            .headers
            .iter()
            .map(|header| (header.name.as_str(), header.value.as_bytes()))
            .collect();
        assert_eq!(headers, [("a", &b"1"[..]), ("b", b"3")]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings.resource, [pair("service.name", "shop"), pair("zone", "a,b")]);
    }

    #[test]
    fn the_other_options_need_the_first() {
        for arguments in [
            ["--otlp-signals", "logs"],
            ["--otlp-header", "a=b"],
            ["--otlp-capture-headers", "all"],
        ] {
            settings(&arguments, &[]).unwrap_err();
        }
        for arguments in [
            ["--otlp", "host"],
            ["--otlp", "--otlp-signals=spans"],
            ["--otlp", "--otlp-header=a"],
        ] {
            settings(&arguments, &[]).unwrap_err();
        }
    }
}
