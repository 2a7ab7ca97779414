//! The options of a command line, sorted by what they are for, and by what may be a secret in their values.

use std::env;

use clap::{ArgAction, ArgMatches, parser::ValueSource};
use tracer_observe::audit::{Given, Purpose, ValueKind};

/// The options that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options(pub(super) Vec<Given>);

impl Options {
    /// Returns the options of a command that were given, in the order of its help.
    pub(crate) fn of(command: &clap::Command, matches: &ArgMatches) -> Self {
        let mut all = Vec::new();
        for option in command.get_arguments() {
            let id = option.get_id().as_str();
            // An id that is not an option of this command is none of the matches.
            let source = matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id));
            // The tape of `replay` has no option.
            let long = option
                .get_long()
                .or_else(|| Some(id).filter(|_| option.is_positional()));
            let Some(name) = long.filter(|_| source == Some(ValueSource::CommandLine)) else {
                continue;
            };
            let takes_value = matches!(option.get_action(), ArgAction::Set | ArgAction::Append);
            let values: Vec<_> = match matches.get_raw(id) {
                Some(values) if takes_value => values.map(|value| Some(value.to_string_lossy().into_owned())).collect(),
                Some(_) | None => Vec::new(),
            };
            let has_values = !values.is_empty();
            all.extend(values.into_iter().map(|value| given(name, value)));
            if !has_values {
                all.push(given(name, None));
            }
        }
        if all.iter().any(|given| given.option == "otlp" && given.value.is_none()) {
            all.extend(endpoints());
        }
        Self(all)
    }
}

/// Returns where `--otlp` sends to by the environment.
fn endpoints() -> impl Iterator<Item = Given> {
    const VARIABLES: [&str; 4] = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    ];
    VARIABLES.into_iter().filter_map(|name| {
        Some(Given {
            option: name.to_owned(),
            value: Some(env::var_os(name)?.to_string_lossy().into_owned()),
            purpose: Purpose::Output,
            kind: ValueKind::Url,
        })
    })
}

fn given(name: &str, value: Option<String>) -> Given {
    let (purpose, kind) = sort(name).unwrap_or((Purpose::Setting, ValueKind::Secret));
    Given {
        option: name.to_owned(),
        value,
        purpose,
        kind,
    }
}

/// Returns what an option is for, and what its value is. The value of an option that is not listed is masked.
fn sort(name: &str) -> Option<(Purpose, ValueKind)> {
    use Purpose::{Filter, Output, Selection, Setting};
    use ValueKind::{Header, Host, NamedSecret, Path, Secret, Text, Url};
    Some(match name {
        "pid" | "name" | "container" | "uid" | "port" | "all" | "no-follow" | "wait" | "no-plaintext" | "tape" => {
            (Selection, Text)
        }
        "side" | "method" | "status" | "local-port" | "remote" | "request-id" | "errors" | "slower-than" | "sample"
        | "rate-limit" | "count" => (Filter, Text),
        "header" => (Filter, Header),
        "host" => (Filter, Host),
        "path" => (Filter, Path),
        "output"
        | "write"
        | "append"
        | "rotate"
        | "keep"
        | "keep-for"
        | "keep-bytes"
        | "compress"
        | "metrics"
        | "otlp-signals"
        | "otlp-capture-headers"
        | "audit"
        | "recipient"
        | "recipients-file" => (Output, Text),
        "otlp" | "syslog" => (Output, Url),
        "otlp-header" => (Output, NamedSecret),
        // What it runs is anything, such as curl with a token.
        "alert-exec" => (Output, Secret),
        "duration" | "call-bytes" | "max-connections" | "ring-kib" | "hooks" | "return-probes" | "calls" | "hold"
        | "connections" | "hops" | "verbose" | "quiet" | "id-header" | "color" | "utc" | "redact" | "fingerprint"
        | "show-secrets" | "policy" | "interval" | "debuginfod" | "identity" => (Setting, Text),
        // It may have what it is to hide.
        "redact-pattern" => (Setting, Secret),
        _ => return None,
    })
}

/// Returns whether an option is listed.
#[cfg(test)]
#[cfg(feature = "live")]
pub(crate) fn is_sorted(name: &str) -> bool {
    sort(name).is_some()
}
